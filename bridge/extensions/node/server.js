// Requests: handed to handlers, and answered.
'use strict'

const { Request, Response, Refusal } = require('./http.js')
const { BadEncoding } = require('./router.js')
const { tell } = require('./tell.js')

const PIECE = 64 << 10
const WINDOW = 256 << 10

class Server {
  constructor(channel, router, calls) {
    this.channel = channel
    this.router = router
    this.calls = calls
    this.underWay = new Map()
    this.stopping = false
  }

  take(message) {
    const [kind, number, ...rest] = message
    if (kind === 'request') this.begin(number, rest)
    else if (kind === 'credit') this.credit(number, rest[0])
    else if (kind === 'cancel') this.cancel(number)
    else if (kind === 'ping') this.channel.send(['pong', number])
    else if (kind === 'stop') {
      this.stopping = true
      this.stopIfIdle()
    }
  }

  stopIfIdle() {
    if (this.stopping && this.underWay.size === 0) this.channel.socket.end(() => process.exit(0))
  }

  begin(number, [method, path, query, headers, body, user]) {
    const serving = { credit: WINDOW, pieces: null, answered: false, returned: false, over: false, dropped: false }
    this.underWay.set(number, serving)
    const res = new Response((status, names, data) => this.answer(number, serving, status, names, data))
    let req, steps, methods
    try {
      req = new Request(method, path, query, headers, body, user)
      ;({ steps, methods } = this.router.find(method, path))
    } catch (error) {
      serving.returned = true
      if (error instanceof Refusal) this.refuse(res, error.status, error.code, error.message)
      else if (error instanceof BadEncoding) this.refuse(res, 400, 'bad-request', 'bad percent-encoding in the path')
      else throw error
      return
    }
    const nobody = () => {
      if (methods.size === 0) return this.refuse(res, 404, 'not-found', 'there is no such path')
      const allow = [...methods].sort().join(', ')
      res.set('Allow', allow)
      return this.refuse(res, 405, 'method-not-allowed', `the path has ${allow}`)
    }
    if (!steps.some((step) => !step.middleware)) steps = [...steps, { handler: nobody, params: {}, middleware: false }]
    this.calls.current.run(number, () => this.through(number, serving, steps, req, res))
  }

  through(number, serving, steps, req, res) {
    const failed = (error) => {
      tell(error)
      if (res.headersSent) return // an answer is whole, whatever its handler does after it
      res.names.clear()
      this.refuse(res, 500, 'internal-error', 'the handler failed, see the log of the extension')
    }
    const returned = () => {
      serving.returned = true
      if (serving.over) this.ended(number)
    }
    let pending = 0
    const settle = () => {
      if (--pending === 0) returned()
    }
    const run = (index) => {
      if (index >= steps.length) return failed(new Error('next() was called by the last handler'))
      const step = steps[index]
      req.params = step.params
      pending++
      let gone = false
      const next = (error) => {
        if (gone) return undefined
        gone = true
        return error ? failed(error) : run(index + 1)
      }
      try {
        const value = step.handler(req, res, next)
        if (value !== null && typeof value === 'object' && typeof value.then === 'function') {
          Promise.resolve(value).then(settle, (error) => {
            failed(error)
            settle()
          })
          return undefined
        }
      } catch (error) {
        failed(error)
      }
      settle()
      return undefined
    }
    run(0)
  }

  refuse(res, status, code, message) {
    res.statusCode = status
    res.json({ error: code, message })
  }

  answer(number, serving, status, names, body) {
    serving.answered = true
    if (serving.dropped) {
      serving.over = serving.told = true
      if (serving.returned) this.ended(number)
      return
    }
    if (body.length <= PIECE) {
      serving.over = true
      // Whether the handler has returned is known a moment later; both are then one message.
      queueMicrotask(() => {
        const whole = serving.returned && this.underWay.has(number)
        this.channel.send(['response', number, status, names, body, whole])
        if (whole) {
          this.underWay.delete(number)
          this.stopIfIdle()
        } else {
          this.channel.send(['done', number])
          serving.told = true
          if (serving.returned) this.ended(number)
        }
      })
      return
    }
    this.channel.send(['response', number, status, names, body.subarray(0, PIECE), false])
    serving.told = true
    serving.credit -= PIECE
    serving.pieces = body.subarray(PIECE)
    this.flow(number, serving)
  }

  credit(number, nbytes) {
    const serving = this.underWay.get(number)
    if (serving !== undefined) {
      serving.credit += nbytes
      this.flow(number, serving)
    }
  }

  flow(number, serving) {
    while (serving.pieces !== null && serving.pieces.length && serving.credit > 0) {
      const piece = serving.pieces.subarray(0, Math.min(PIECE, serving.credit))
      serving.credit -= piece.length
      serving.pieces = serving.pieces.subarray(piece.length)
      this.channel.send(['data', number, piece])
    }
    if (serving.pieces !== null && !serving.pieces.length) {
      serving.pieces = null
      serving.over = true
      this.channel.send(['done', number])
      if (serving.returned) this.ended(number)
    }
  }

  cancel(number) {
    const serving = this.underWay.get(number)
    if (serving === undefined) return
    // A promise cannot be cancelled: the handler runs on, and its answer goes nowhere.
    serving.dropped = true
    serving.pieces = null
    if (serving.answered) serving.over = true
    if (serving.returned) this.ended(number)
  }

  ended(number) {
    const serving = this.underWay.get(number)
    if (serving === undefined || !(serving.told || !serving.answered)) return
    this.underWay.delete(number)
    this.channel.send(['ended', number])
    this.stopIfIdle()
  }
}

module.exports = { Server }
