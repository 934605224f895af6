// Which handlers a request gets: paths as in Express, the first that was added wins.
'use strict'

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options']

class BadEncoding extends Error {}

function parts(path) {
  return (path.endsWith('/') ? path.slice(0, -1) : path).split('/').slice(1)
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new BadEncoding(text)
  }
}

class Pattern {
  constructor(text, prefix) {
    if (typeof text !== 'string' || !text.startsWith('/')) {
      throw new TypeError(`${JSON.stringify(text)}: expected a path that begins with /`)
    }
    this.open = prefix
    this.parts = parts(text)
    this.rest = this.parts[this.parts.length - 1] === '*'
    if (this.rest) {
      this.open = true
      this.parts.pop()
    }
    if (this.parts.some((part) => part.includes('*'))) {
      throw new TypeError(`${JSON.stringify(text)}: * stands at the end alone`)
    }
  }

  match(given) {
    if (given.length < this.parts.length || (given.length > this.parts.length && !this.open)) return null
    for (let index = 0; index < this.parts.length; index++) {
      const mine = this.parts[index]
      if (mine !== given[index] && !(mine.startsWith(':') && given[index])) return null
    }
    const params = {}
    this.parts.forEach((part, index) => {
      if (part.startsWith(':')) params[part.slice(1)] = decoded(given[index])
    })
    if (this.rest) params['*'] = decoded(given.slice(this.parts.length).join('/'))
    return params
  }
}

class Router {
  constructor() {
    this.entries = []
  }

  use(path, ...handlers) {
    return typeof path === 'function'
      ? this.add(null, new Pattern('/', true), [path, ...handlers], true)
      : this.add(null, new Pattern(path, true), handlers, true)
  }

  all(path, ...handlers) {
    return this.add(null, new Pattern(path, false), handlers, false)
  }

  add(method, pattern, handlers, middleware) {
    const flat = handlers.flat(Infinity)
    if (!flat.length) throw new TypeError('no handler, expected a function')
    for (const handler of flat) {
      if (typeof handler !== 'function') throw new TypeError(`a handler is a ${typeof handler}, expected a function`)
    }
    this.entries.push({ method, pattern, handlers: flat, middleware })
    return this
  }

  // The functions for a request, in order, and the methods that its path has.
  find(method, path) {
    const given = parts(path)
    let steps = []
    const instead = []
    const methods = new Set()
    for (const entry of this.entries) {
      const params = entry.pattern.match(given)
      if (params === null) continue
      const found = entry.handlers.map((handler) => ({ handler, params, middleware: entry.middleware }))
      if (entry.middleware || entry.method === null || entry.method === method) {
        steps.push(...found)
        if (entry.middleware) instead.push(...found)
      } else if (method === 'HEAD' && entry.method === 'GET') {
        instead.push(...found)
      }
      if (!entry.middleware) methods.add(entry.method === null ? method : entry.method)
    }
    if (method === 'HEAD' && !steps.some((step) => !step.middleware)) steps = instead
    if (methods.has('GET')) methods.add('HEAD')
    return { steps, methods }
  }
}

for (const method of METHODS) {
  Router.prototype[method] = function (path, ...handlers) {
    return this.add(method.toUpperCase(), new Pattern(path, false), handlers, false)
  }
}

module.exports = { Router, BadEncoding, decoded }
