// The process of an extension in JavaScript: loaded, and then at the host's service. It is locked in before node starts.
'use strict'

const { writeSync } = require('node:fs')
const { pathToFileURL } = require('node:url')

const { Calls } = require('./calls.js')
const { Channel } = require('./channel.js')
const { Router } = require('./router.js')
const { Server } = require('./server.js')
const { makeServices } = require('./services.js')
const { tell, textOf } = require('./tell.js')

const WHY_CHARS = 2000
const ONLY_IMPORTED = ['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE']

const task = JSON.parse(process.argv[2])
process.argv.splice(1, 2, task.main)

async function load() {
  let module
  try {
    module = require(task.main)
  } catch (error) {
    if (!ONLY_IMPORTED.includes(error && error.code) && !(error instanceof SyntaxError && /import|export/.test(error.message))) {
      throw error
    }
    module = await import(pathToFileURL(task.main).href)
  }
  return module && module.default ? module.default : module
}

function check(module) {
  for (const member of ['name', 'version']) {
    const found = module === null || module === undefined ? undefined : module[member]
    if (found !== task[member]) {
      throw new Error(
        `${task.main}: ${member}: found ${JSON.stringify(found)}, expected ${JSON.stringify(task[member])} as in package.json`
      )
    }
  }
  if (typeof module.init !== 'function') {
    throw new Error(`${task.main}: init: expected a function (router, services)`)
  }
}

async function main() {
  const calls = new Calls(4, task.messageBytes)
  const router = new Router()
  const channel = new Channel(3, task.messageBytes * 2, () => process.exit(0))
  const server = new Server(channel, router, calls)
  channel.listen((message) => server.take(message))
  try {
    const module = await load()
    check(module)
    await module.init(router, makeServices(calls, task.files))
  } catch (error) {
    tell(error)
    channel.send(['failed', textOf(error, 'message').slice(0, WHY_CHARS)])
    return
  }
  channel.send(['ready', task.name, task.version])
}

// What ends the process is told in one line, which the host passes on: stacks of several lines follow.
process.on('uncaughtExceptionMonitor', (error) => {
  const said = textOf(error, 'stack').split('\n')[0]
  try {
    writeSync(2, `FATAL ERROR: not caught: ${said}\n`)
  } catch {
    // It has closed what it prints to.
  }
})

// An error that nobody waits for is told, and ends nothing else.
process.on('unhandledRejection', tell)

main()
