// The socket on which requests come and answers go.
'use strict'

const fs = require('node:fs')
const net = require('node:net')

const { framed, decode } = require('./msgpack.js')

const READ_BYTES = 64 << 10

class Channel {
  constructor(fd, most, onEnd) {
    // One buffer for all reads: nothing of a message leads back into it once it is decoded.
    const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback: (size, buffer) => this.read(buffer.subarray(0, size)) }
    this.take = null
    this.socket = new net.Socket({ fd, readable: true, writable: true, onread })
    this.fd = fd
    this.most = most
    this.rest = null
    this.onEnd = onEnd
    this.socket.on('error', onEnd)
    this.socket.on('end', onEnd)
  }

  listen(take) {
    this.take = take
    this.socket.resume()
  }

  read(chunk) {
    let data = this.rest === null ? chunk : Buffer.concat([this.rest, chunk])
    while (data.length >= 4) {
      const size = data.readUInt32LE(0)
      if (size > this.most) throw new Error(`a message of ${size} bytes`)
      if (data.length < 4 + size) break
      this.take(decode(data.subarray(4, 4 + size)))
      data = data.subarray(4 + size)
    }
    this.rest = data.length ? Buffer.from(data) : null
    return true
  }

  // Most of what is sent the socket takes at once: that costs a system call, and no turn of streams.
  send(message) {
    let data = framed(message)
    if (this.socket.writableLength === 0) {
      try {
        data = data.subarray(fs.writeSync(this.fd, data))
      } catch {
        // It is full, or the host has ended: the socket below finds out which.
      }
    }
    if (data.length) this.socket.write(data)
  }
}

module.exports = { Channel }
