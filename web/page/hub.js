/**
 * One connection to /api/events for all tabs of a browser, which would else run out of connections at
 * the seventh tab. Runs as a shared worker, and in the page itself where there are none.
 *
 *   /api/events → here: what is known, by name and key → every page, in batches
 *
 * Reconnects by itself; rests while nobody looks, so that the server may rest too.
 */
import { trimRows, trimTotals } from '/kept.js'

const HIDDEN_MS = 60_000
/** The server says something every 5 s; a connection that is silent for longer is dead. */
const SILENT_MS = 12_000
/** Between two looks, and so between two tries to connect. */
const LOOK_MS = 2_000
const DECISIONS_MOST = 30

const keys = {
  decision: ({ id }) => id,
  total: ({ start }) => start,
  window: ({ start, key }) => JSON.stringify([start, Object.entries(key)]),
}

export function createHub() {
  /** Page's post → whether it is looked at. */
  const pages = new Map()
  const latest = new Map()
  const lists = { decision: new Map(), total: new Map(), window: new Map() }
  let source = null
  let heardAt = 0
  let hiddenAt = null
  let connected = false
  let batch = []

  const tell = (name, data) => {
    if (batch.push({ name, data }) > 1) return
    // Events of one answer come one by one; pages take them together, and draw once.
    setTimeout(() => {
      for (const post of pages.keys()) post({ events: batch })
      batch = []
    }, 0)
  }

  const link = (isConnected) => {
    if (connected === isConnected) return
    connected = isConnected
    tell('link', { connected })
  }

  const open = () => {
    source?.close()
    source = new EventSource('/api/events')
    heardAt = performance.now()
    source.addEventListener('open', () => {
      for (const list of Object.values(lists)) list.clear()
      tell('restart', {})
      link(true)
    })
    // The browser tries again by itself, unless the server refused outright.
    source.addEventListener('error', () => link(false))
    for (const name of ['status', 'executors', 'cost', 'decision', 'total', 'window', 'outage']) {
      source.addEventListener(name, (event) => take(name, JSON.parse(event.data)))
    }
    source.addEventListener('heartbeat', () => {
      heardAt = performance.now()
    })
  }

  const take = (name, data) => {
    heardAt = performance.now()
    const list = lists[name]
    if (list) {
      list.set(keys[name](data), data)
      trim(name, list)
    } else if (name !== 'outage') {
      latest.set(name, { data, at: performance.now() })
    }
    tell(name, data)
  }

  const close = () => {
    source?.close()
    source = null
    link(false)
  }

  setInterval(() => {
    const now = performance.now()
    const isLookedAt = [...pages.values()].some((isVisible) => isVisible)
    hiddenAt = isLookedAt ? null : (hiddenAt ?? now)
    if (source === null) {
      if (isLookedAt) open()
    } else if (pages.size === 0 || (hiddenAt !== null && now - hiddenAt > HIDDEN_MS)) {
      close()
    } else if (source.readyState === EventSource.CLOSED || now - heardAt > SILENT_MS) {
      link(false)
      open()
    }
  }, LOOK_MS)

  return {
    join(post) {
      pages.set(post, true)
      hiddenAt = null
      post({ events: known(connected, latest, lists) })
      if (source === null) open()
    },
    shows(post, isVisible) {
      pages.set(post, isVisible)
      if (isVisible && source === null) open()
    },
    leave(post) {
      pages.delete(post)
    },
  }
}

/** What a page that comes later has missed. `ageMs`: how long ago it was told. */
function known(connected, latest, lists) {
  const events = [{ name: 'restart', data: {} }]
  for (const [name, { data, at }] of latest) {
    events.push({ name, data, ageMs: performance.now() - at })
  }
  for (const [name, list] of Object.entries(lists)) {
    for (const data of list.values()) events.push({ name, data })
  }
  events.push({ name: 'link', data: { connected } })
  return events
}

function trim(name, list) {
  if (name === 'window') trimRows(list)
  else if (name === 'total') trimTotals(list)
  // Decisions come in order.
  else if (list.size > DECISIONS_MOST) list.delete(list.keys().next().value)
}

/** As a shared worker: each tab has a port. */
if ('onconnect' in globalThis) {
  const hub = createHub()
  globalThis.onconnect = ({ ports: [port] }) => {
    const post = (message) => port.postMessage(message)
    port.onmessage = ({ data }) => {
      if (data === 'leave') hub.leave(post)
      else if (data === 'join') hub.join(post)
      else hub.shows(post, data === 'visible')
    }
  }
}
