// `services`: better-sqlite3's interface, and the rest, in front of calls of the host.
'use strict'

const KNOWN = 512

class Statement {
  constructor(calls, source) {
    this.calls = calls
    this.source = source
    this.plucked = false
  }

  run(...parameters) {
    const [changes, lastInsertRowid] = this.calls.call('db.run', this.source, bound(parameters))
    return { changes, lastInsertRowid }
  }

  get(...parameters) {
    const [columns, row] = this.calls.call('db.get', this.source, bound(parameters))
    return row === null ? undefined : this.shaped(columns, row)
  }

  all(...parameters) {
    const [columns, rows] = this.calls.call('db.all', this.source, bound(parameters))
    return rows.map((row) => this.shaped(columns, row))
  }

  * iterate(...parameters) {
    let [cursor, columns, rows, more] = this.calls.call('db.open', this.source, bound(parameters))
    try {
      for (;;) {
        for (const row of rows) yield this.shaped(columns, row)
        if (!more) return
        ;[rows, more] = this.calls.call('db.next', cursor)
      }
    } finally {
      if (more) this.calls.call('db.close', cursor)
    }
  }

  pluck(on = true) {
    this.plucked = on
    return this
  }

  shaped(columns, row) {
    if (this.plucked) return row[0]
    const found = {}
    for (let index = 0; index < columns.length; index++) found[columns[index]] = row[index]
    return found
  }
}

function bound(parameters) {
  if (parameters.length === 1) {
    const [given] = parameters
    if (Array.isArray(given)) return given.map(checked)
    if (given !== null && typeof given === 'object' && !(given instanceof Uint8Array) && !(given instanceof Date)) {
      return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, checked(value)]))
    }
  }
  return parameters.map(checked)
}

function checked(value) {
  const kind = typeof value
  if (value === null || kind === 'number' || kind === 'string' || kind === 'bigint' || value instanceof Uint8Array) {
    return value
  }
  throw new TypeError('SQLite3 can only bind numbers, strings, bigints, buffers, and null')
}

class Database {
  constructor(calls) {
    this.calls = calls
    this.known = new Set()
  }

  exec(sql) {
    this.calls.call('db.exec', sql)
    return this
  }

  prepare(sql) {
    if (!this.known.has(sql)) {
      this.calls.call('db.prepare', sql)
      if (this.known.size >= KNOWN) this.known.delete(this.known.values().next().value)
      this.known.add(sql)
    }
    return new Statement(this.calls, sql)
  }

  transaction(fn) {
    if (typeof fn !== 'function') throw new TypeError(`transaction: a ${typeof fn}, expected a function`)
    if (fn.constructor.name === 'AsyncFunction') {
      throw new TypeError('transaction: an async function cannot be one transaction, others would run within it')
    }
    const calls = this.calls
    return function (...args) {
      const nested = calls.call('db.begin')
      let result
      try {
        result = fn.apply(this, args)
        if (result !== null && typeof result === 'object' && typeof result.then === 'function') {
          throw new TypeError('transaction: the function returned a promise')
        }
        calls.call('db.commit', nested) // which fails for a foreign key that was to be there by then
      } catch (error) {
        calls.call('db.undo', nested)
        throw error
      }
      return result
    }
  }

  migrate(steps) {
    return this.calls.call('db.migrate', steps)
  }
}

// What may be given by position, or by name in one object.
function options(given, defaults) {
  const named = given.length === 1 && given[0] !== null && typeof given[0] === 'object' ? given[0] : null
  for (const name of Object.keys(named ?? {})) {
    if (!Object.hasOwn(defaults, name)) {
      throw new TypeError(`${name}: no such option, expected ${Object.keys(defaults).join(', ')}`)
    }
  }
  return Object.entries(defaults).map(([name, value], index) => {
    const found = named === null ? given[index] : named[name]
    return found === undefined ? value : found
  })
}

function moment(time) {
  if (time === undefined || time === null) return null
  return time instanceof Date ? time.getTime() / 1000 : time
}

function makeServices(calls, files) {
  const call = (operation, ...args) => calls.call(operation, ...args)
  const auditLog = (action, kind, id, details) => call('audit.write', action, kind, String(id), details)
  auditLog.list = (...rest) => call('audit.list', ...options(rest, { after: 0, limit: 100 }))
  return {
    db: new Database(calls),
    files,
    auditLog,
    broadcast: (topic, data) => call('broadcast', topic, data),
    sendPushNotification: (notification, ...rest) =>
      call('push.send', notification, ...options(rest, { ttl: 86400, urgency: 'normal' })),
    webhooks: { fire: (event, data) => call('webhooks.fire', event, data) },
    metricsHistory: {
      record: (metric, value, time) => call('metrics.record', metric, value, moment(time)),
      query: (metric, start, end, step, fn = 'avg') =>
        call('metrics.query', metric, moment(start), moment(end), step, fn)
    },
    alertEngine: {
      define: (name, metric, op, threshold, ...rest) => {
        const [forSeconds, keepSeconds, severity] = options(rest, { forSeconds: 0, keepSeconds: 0, severity: 'warning' })
        call('alerts.define', name, metric, op, threshold, forSeconds, keepSeconds, severity)
      },
      evaluate: () => call('alerts.evaluate'),
      list: () => call('alerts.list'),
      silence: (name, seconds) => call('alerts.silence', name, seconds),
      remove: (name) => call('alerts.remove', name)
    }
  }
}

module.exports = { makeServices }
