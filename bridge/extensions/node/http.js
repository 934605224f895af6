// A request and its answer, as handlers see them.
'use strict'

const { STATUS_CODES } = require('node:http')

const { BadEncoding, decoded } = require('./router.js')

const DEPTH = 100
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const TYPES = {
  json: 'application/json; charset=utf-8',
  html: 'text/html; charset=utf-8',
  text: 'text/plain; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  xml: 'application/xml',
  csv: 'text/csv; charset=utf-8',
  bin: 'application/octet-stream'
}

class Refusal extends Error {
  constructor(status, code, message) {
    super(message)
    this.status = status
    this.code = code
  }
}

function parseQuery(text) {
  const found = {}
  for (const part of text.split('&')) {
    if (!part) continue
    const [name, ...value] = part.replaceAll('+', ' ').split('=')
    let pair
    try {
      pair = [decoded(name), decoded(value.join('='))]
    } catch (error) {
      if (!(error instanceof BadEncoding)) throw error
      throw new Refusal(400, 'bad-request', 'bad percent-encoding in the query')
    }
    const [key, given] = pair
    if (!Object.hasOwn(found, key)) Object.defineProperty(found, key, { value: given, enumerable: true, writable: true })
    else if (Array.isArray(found[key])) found[key].push(given)
    else found[key] = [found[key], given]
  }
  return found
}

function isJson(type) {
  const kind = type.split(';')[0].trim().toLowerCase()
  return kind === 'application/json' || kind.endsWith('+json')
}

function deeper(value, most) {
  let level = [value]
  for (let step = 0; step < most; step++) {
    level = level.flatMap((each) => (each !== null && typeof each === 'object' ? Object.values(each) : []))
    if (!level.length) return false
  }
  return level.some((each) => each !== null && typeof each === 'object')
}

function parsed(type, body) {
  if (!isJson(type)) return body
  let value
  try {
    const text = UTF8.decode(body)
    if (!text.trim()) return {}
    value = JSON.parse(text)
  } catch (error) {
    throw new Refusal(400, 'bad-json', `the body is no JSON: ${error.message}`)
  }
  if (deeper(value, DEPTH)) throw new Refusal(400, 'bad-json', `the body is nested over ${DEPTH} deep`)
  return value
}

class Request {
  constructor(method, path, query, headers, body, user) {
    this.method = method
    this.path = path
    this.params = {}
    this.query = parseQuery(query)
    this.headers = {}
    Object.defineProperty(this.headers, 'get', { value: (name) => this.get(name), writable: true, configurable: true })
    for (const [name, value] of Object.entries(headers)) {
      const all = { value, enumerable: true, writable: true, configurable: true }
      Object.defineProperty(this.headers, name.toLowerCase(), all)
    }
    this.body = parsed(this.headers['content-type'] || '', body)
    this.user = { name: user[0], uid: user[1] }
  }

  get(name) {
    const low = String(name).toLowerCase()
    return Object.prototype.propertyIsEnumerable.call(this.headers, low) ? this.headers[low] : undefined
  }

  header(name) {
    return this.get(name)
  }
}

class Response {
  constructor(onAnswer) {
    this.statusCode = 200
    this.locals = {}
    this.headersSent = false
    this.names = new Map()
    this.onAnswer = onAnswer
  }

  status(status) {
    this.statusCode = status
    return this
  }

  set(name, value) {
    for (const [each, given] of typeof name === 'object' ? Object.entries(name) : [[name, value]]) {
      this.names.set(String(each).toLowerCase(), [String(each), Array.isArray(given) ? given.join(', ') : String(given)])
    }
    return this
  }

  header(name, value) {
    return this.set(name, value)
  }

  type(kind) {
    const suffix = kind.replace(/^\.+/, '')
    return this.set('Content-Type', kind.includes('/') ? kind : Object.hasOwn(TYPES, suffix) ? TYPES[suffix] : TYPES.bin)
  }

  json(value) {
    const text = JSON.stringify(value)
    return this.answer(Buffer.from(text === undefined ? 'null' : text), TYPES.json)
  }

  send(value) {
    if (typeof value === 'string') return this.answer(Buffer.from(value), TYPES.html)
    if (value instanceof Uint8Array) return this.answer(Buffer.from(value), TYPES.bin)
    return value === undefined || value === null ? this.answer(Buffer.alloc(0), null) : this.json(value)
  }

  end(value) {
    return this.answer(value === undefined || value === null ? Buffer.alloc(0) : Buffer.from(value), null)
  }

  sendStatus(status) {
    this.statusCode = status
    return this.answer(Buffer.from(STATUS_CODES[status] || 'Unknown'), TYPES.text)
  }

  answer(body, type) {
    if (this.headersSent) throw new Error('the answer was sent already')
    const status = Number(this.statusCode)
    if (!Number.isSafeInteger(status)) throw new RangeError(`the status is ${String(this.statusCode)}`)
    this.headersSent = true
    if (type !== null && !this.names.has('content-type')) this.names.set('content-type', ['Content-Type', type])
    this.onAnswer(status, [...this.names.values()], body)
    return this
  }
}

module.exports = { Request, Response, Refusal }
