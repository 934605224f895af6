// The socket on which requests come and answers go.
'use strict'

const net = require('node:net')

const { framed, decode } = require('./msgpack.js')

class Channel {
  constructor(fd, most, onEnd) {
    this.socket = new net.Socket({ fd, readable: true, writable: true })
    this.most = most
    this.rest = null
    this.onEnd = onEnd
    this.socket.on('error', onEnd)
    this.socket.on('end', onEnd)
  }

  listen(take) {
    this.socket.on('data', (chunk) => {
      let data = this.rest === null ? chunk : Buffer.concat([this.rest, chunk])
      while (data.length >= 4) {
        const size = data.readUInt32LE(0)
        if (size > this.most) throw new Error(`a message of ${size} bytes`)
        if (data.length < 4 + size) break
        take(decode(data.subarray(4, 4 + size)))
        data = data.subarray(4 + size)
      }
      this.rest = data.length ? data : null
    })
  }

  send(message) {
    this.socket.write(framed(message))
  }
}

module.exports = { Channel }
