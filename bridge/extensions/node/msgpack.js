// MessagePack (https://msgpack.org), as far as the host speaks it: no extension types.
'use strict'

const MOST = 2 ** 53

class Writer {
  constructor() {
    this.buffer = Buffer.allocUnsafe(1024)
    this.length = 0
  }

  room(bytes) {
    if (this.length + bytes > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes))
      this.buffer.copy(larger, 0, 0, this.length)
      this.buffer = larger
    }
    const at = this.length
    this.length += bytes
    return at
  }

  // `room` may have put another buffer in place of this one: it comes before the buffer is named.
  octet(value) {
    const at = this.room(1)
    this.buffer[at] = value
  }

  head(value, one, two, four, short, shortMost) {
    if (short !== null && value <= shortMost) {
      this.octet(short | value)
    } else if (one !== null && value < 0x100) {
      const at = this.room(2)
      this.buffer[at] = one
      this.buffer[at + 1] = value
    } else if (value < 0x10000) {
      const at = this.room(3)
      this.buffer[at] = two
      this.buffer.writeUInt16BE(value, at + 1)
    } else {
      const at = this.room(5)
      this.buffer[at] = four
      this.buffer.writeUInt32BE(value, at + 1)
    }
  }

  number(value) {
    if (Number.isInteger(value) && Math.abs(value) < MOST && !Object.is(value, -0)) {
      if (value >= 0 && value < 128) {
        this.octet(value)
      } else if (value < 0 && value >= -32) {
        this.octet(0x100 + value)
      } else if (value >= -0x80000000 && value < 0x80000000) {
        const at = this.room(5)
        this.buffer[at] = 0xd2
        this.buffer.writeInt32BE(value, at + 1)
      } else {
        this.big(BigInt(value))
      }
    } else {
      const at = this.room(9)
      this.buffer[at] = 0xcb
      this.buffer.writeDoubleBE(value, at + 1)
    }
  }

  big(value) {
    const at = this.room(9)
    this.buffer[at] = 0xd3
    this.buffer.writeBigInt64BE(value, at + 1)
  }

  text(value) {
    const size = Buffer.byteLength(value)
    this.head(size, 0xd9, 0xda, 0xdb, 0xa0, 31)
    const at = this.room(size)
    this.buffer.write(value, at)
  }

  bytes(value) {
    this.head(value.length, 0xc4, 0xc5, 0xc6, null, 0)
    const at = this.room(value.length)
    this.buffer.set(value, at)
  }

  value(value, depth) {
    if (depth > 500) {
      throw new TypeError('nested too deep')
    }
    if (value === null || value === undefined) {
      this.octet(0xc0)
    } else if (value === true || value === false) {
      this.octet(value ? 0xc3 : 0xc2)
    } else if (typeof value === 'number') {
      this.number(value)
    } else if (typeof value === 'string') {
      this.text(value)
    } else if (typeof value === 'bigint') {
      this.big(value)
    } else if (value instanceof Uint8Array) {
      this.bytes(value)
    } else if (Array.isArray(value)) {
      this.head(value.length, null, 0xdc, 0xdd, 0x90, 15)
      for (const each of value) this.value(each, depth + 1)
    } else if (typeof value === 'object') {
      if (typeof value.toJSON === 'function') {
        this.value(value.toJSON(), depth + 1)
        return
      }
      const names = Object.keys(value).filter((name) => value[name] !== undefined && typeof value[name] !== 'function')
      this.head(names.length, null, 0xde, 0xdf, 0x80, 15)
      for (const name of names) {
        this.text(name)
        this.value(value[name], depth + 1)
      }
    } else {
      throw new TypeError(`a ${typeof value} cannot be sent`)
    }
  }
}

// A length of four bytes, little-endian, then the message.
function framed(message) {
  const writer = new Writer()
  writer.room(4)
  writer.value(message, 0)
  writer.buffer.writeUInt32LE(writer.length - 4, 0)
  return writer.buffer.subarray(0, writer.length)
}

// What is decoded, and where: it is done with before anything else is.
let buffer = null
let at = 0

function decode(message) {
  buffer = message
  at = 0
  try {
    return value()
  } finally {
    buffer = null
  }
}

function text(size) {
  at += size
  return buffer.utf8Slice ? buffer.utf8Slice(at - size, at) : buffer.toString('utf8', at - size, at)
}

function bytes(size) {
  at += size
  return Buffer.from(buffer.subarray(at - size, at))
}

function list(size) {
  const found = new Array(size)
  for (let index = 0; index < size; index++) found[index] = value()
  return found
}

function map(size) {
  const found = {}
  for (let index = 0; index < size; index++) {
    const name = value()
    if (name === '__proto__') Object.defineProperty(found, name, { value: value(), enumerable: true })
    else found[name] = value()
  }
  return found
}

function big(found) {
  return found >= -MOST && found <= MOST ? Number(found) : found
}

function take(size) {
  at += size
  return at - size
}

function value() {
  const tag = buffer[at++]
  if (tag < 0x80) return tag
  if (tag < 0x90) return map(tag & 15)
  if (tag < 0xa0) return list(tag & 15)
  if (tag < 0xc0) return text(tag & 31)
  if (tag >= 0xe0) return tag - 0x100
  switch (tag) {
    case 0xc0: return null
    case 0xc2: return false
    case 0xc3: return true
    case 0xc4: return bytes(buffer[at++])
    case 0xc5: return bytes(buffer.readUInt16BE(take(2)))
    case 0xc6: return bytes(buffer.readUInt32BE(take(4)))
    case 0xca: return buffer.readFloatBE(take(4))
    case 0xcb: return buffer.readDoubleBE(take(8))
    case 0xcc: return buffer[at++]
    case 0xcd: return buffer.readUInt16BE(take(2))
    case 0xce: return buffer.readUInt32BE(take(4))
    case 0xcf: return big(buffer.readBigUInt64BE(take(8)))
    case 0xd0: return buffer.readInt8(take(1))
    case 0xd1: return buffer.readInt16BE(take(2))
    case 0xd2: return buffer.readInt32BE(take(4))
    case 0xd3: return big(buffer.readBigInt64BE(take(8)))
    case 0xd9: return text(buffer[at++])
    case 0xda: return text(buffer.readUInt16BE(take(2)))
    case 0xdb: return text(buffer.readUInt32BE(take(4)))
    case 0xdc: return list(buffer.readUInt16BE(take(2)))
    case 0xdd: return list(buffer.readUInt32BE(take(4)))
    case 0xde: return map(buffer.readUInt16BE(take(2)))
    case 0xdf: return map(buffer.readUInt32BE(take(4)))
    default: throw new Error(`msgpack: 0x${tag.toString(16)}`)
  }
}

module.exports = { framed, decode }
