// Calls of the host: sent, and waited for. The descriptor blocks, so a call is as synchronous as it looks.
'use strict'

const fs = require('node:fs')
const { AsyncLocalStorage } = require('node:async_hooks')

const { framed, decode } = require('./msgpack.js')

class SqliteError extends Error {
  constructor(message, code) {
    super(message)
    this.name = 'SqliteError'
    this.code = code
  }
}

class Calls {
  constructor(fd, most) {
    this.fd = fd
    this.most = most
    this.seq = 0
    this.current = new AsyncLocalStorage() // the request whose handler runs
    this.buffer = Buffer.allocUnsafe(64 << 10)
  }

  call(operation, ...args) {
    const seq = ++this.seq
    const data = sendable(operation, [seq, this.current.getStore() || 0, 0, operation, args])
    if (data.length > this.most) {
      throw new RangeError(`${operation}: ${data.length} bytes, the limit (extension_message_bytes) is ${this.most}`)
    }
    for (let sent = 0; sent < data.length;) {
      sent += fs.writeSync(this.fd, data, sent)
    }
    const [, value, error] = decode(this.receive())
    if (error === null || error === undefined) {
      return value
    }
    const [kind, code, message] = error
    if (kind === 'sqlite') throw new SqliteError(message, code)
    throw kind === 'value' ? new TypeError(message) : new Error(message)
  }

  receive() {
    let buffer = this.buffer
    let have = this.read(buffer, 0)
    while (have < 4) have += this.read(buffer, have)
    const size = buffer.readUInt32LE(0) + 4
    if (size > buffer.length) {
      buffer = Buffer.allocUnsafe(size)
      this.buffer.copy(buffer, 0, 0, have)
    }
    while (have < size) have += this.read(buffer, have)
    return buffer.subarray(4, size)
  }

  read(buffer, at) {
    const read = fs.readSync(this.fd, buffer, at, buffer.length - at)
    if (read === 0) {
      process.exit(0) // the host has ended
    }
    return read
  }
}

function sendable(operation, message) {
  try {
    return framed(message)
  } catch (error) {
    throw new TypeError(`${operation}: ${error.message}`)
  }
}

module.exports = { Calls, SqliteError }
