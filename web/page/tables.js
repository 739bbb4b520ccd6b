/**
 * Executors, decisions and windows as elements. What users wrote (group values, reasons) enters the
 * page by textContent only. Rows are kept by key and changed in place, so that a table of hundreds
 * of rows costs little each second and text that is being selected stays.
 */
import * as format from '/format.js'

/** All that the server follows (400 live, 200 closed). */
const ROWS_MOST = 600
const DECISIONS_MOST = 30

/** A table body that follows a list of { key, cells }, a cell being text or { text, … }. */
function createRows(body) {
  const held = new Map()
  return (rows) => {
    const order = rows.map(({ key, className, cells }) => {
      const row = held.get(key) ?? document.createElement('tr')
      held.set(key, row)
      if (row.className !== (className ?? '')) row.className = className ?? ''
      cells.forEach((cell, index) => {
        const element = row.children[index] ?? row.appendChild(document.createElement('td'))
        fill(element, typeof cell === 'string' ? { text: cell } : cell)
      })
      while (row.children.length > cells.length) row.lastChild.remove()
      return row
    })
    const isSame =
      body.children.length === order.length &&
      order.every((row, index) => body.children[index] === row)
    if (!isSame) body.replaceChildren(...order)
    const keys = new Set(rows.map(({ key }) => key))
    for (const key of held.keys()) if (!keys.has(key)) held.delete(key)
  }
}

function fill(element, { text, number = false, pill, bar, title }) {
  const className = number ? 'number' : ''
  if (element.className !== className) element.className = className
  if (title !== undefined && element.title !== title) element.title = title
  if (pill !== undefined) return fillPill(element, text, pill)
  if (bar !== undefined) return fillBar(element, text, bar)
  if (element.textContent !== text) element.textContent = text
}

function fillPill(element, text, kind) {
  const pill = element.firstElementChild ?? element.appendChild(document.createElement('span'))
  pill.className = `pill ${kind}`
  if (pill.textContent !== text) pill.textContent = text
}

function fillBar(element, text, share) {
  if (element.children.length === 0) {
    const track = document.createElement('span')
    track.className = 'track'
    track.append(document.createElement('span'))
    element.append(track, document.createElement('span'))
  }
  element.children[0].firstElementChild.style.width = `${Math.round((share ?? 0) * 100)}%`
  element.children[1].textContent = text
}

export function createExecutors(table, none) {
  const show = createRows(table.tBodies[0])
  return (executors, now) => {
    none.hidden = executors.length > 0
    table.hidden = executors.length === 0
    show(executors.map((executor) => executorRow(executor, now)))
  }
}

function executorRow(executor, now) {
  const isLiving = ['starting', 'running', 'draining'].includes(executor.state)
  const until = executor.stoppedAt === null ? now : Date.parse(executor.stoppedAt)
  return {
    key: executor.id,
    className: isLiving ? '' : 'gone',
    cells: [
      { text: executor.id, title: `on ${executor.host}` },
      { text: executor.state, pill: executor.state },
      { text: String(executor.pid), number: true },
      { text: format.share(executor.busy), bar: executor.busy },
      { text: format.rate(executor.recordsPerSecond), number: true },
      { text: format.number(executor.records), number: true },
      { text: isLiving ? format.bytes(executor.rssBytes) : '–', number: true },
      { text: format.duration(until - Date.parse(executor.startedAt)), number: true },
      executor.reason ?? '',
    ],
  }
}

/** A decision comes a second time when it has taken effect. */
export function createDecisions(list, none) {
  const items = new Map()
  return {
    clear() {
      items.clear()
      list.replaceChildren()
    },
    put(decision) {
      const item = decisionItem(decision)
      const held = items.get(decision.id)
      items.set(decision.id, item)
      if (held) held.replaceWith(item)
      else list.prepend(item)
      for (const id of items.keys()) {
        if (items.size <= DECISIONS_MOST) break
        items.get(id).remove()
        items.delete(id)
      }
      none.hidden = true
    },
  }
}

function decisionItem({ at, from, to, reason, sentence, effectMs }) {
  const item = document.createElement('li')
  const time = part('time', format.clockTime(at))
  time.dateTime = at
  const change = part('span', reason)
  change.className = `change ${to > from ? 'up' : to < from ? 'down' : ''}`
  const why = part('span', sentence)
  if (effectMs !== null) why.append(part('small', ` in effect after ${format.duration(effectMs)}`))
  item.append(time, why, change)
  return item
}

function part(name, text) {
  const element = document.createElement(name)
  element.textContent = text
  return element
}

/** Rows of windows by window and group, newest window first. */
export function createWindows(table, note) {
  const rows = new Map()
  const show = createRows(table.tBodies[0])
  let shown = 'all'
  let changed = true

  const render = () => {
    if (!changed) return
    changed = false
    const wanted = Array.from(rows.values())
      .filter(({ state }) => shown === 'all' || state === shown)
      .sort(newestFirst)
    trim(rows)
    head(table.tHead, wanted[0])
    show(wanted.slice(0, ROWS_MOST).map(windowRow))
    note.textContent = noteOf(wanted.length)
  }
  return {
    clear() {
      rows.clear()
      changed = true
    },
    put(row) {
      rows.set(keyOf(row), row)
      changed = true
    },
    filter(state) {
      shown = state
      changed = true
      render()
    },
    render,
  }
}

const keyOf = (row) => JSON.stringify([row.start, Object.entries(row.key)])

const newestFirst = (a, b) =>
  b.start.localeCompare(a.start) ||
  JSON.stringify(Object.values(a.key)).localeCompare(JSON.stringify(Object.values(b.key)))

/** The server follows the newest rows only; what it no longer follows must not look current. */
function trim(rows) {
  for (const [state, most] of [
    ['open', 400],
    ['closed', 200],
  ]) {
    const held = Array.from(rows).filter(([, row]) => row.state === state)
    if (held.length <= most) continue
    held.sort(([, a], [, b]) => newestFirst(a, b))
    for (const [key] of held.slice(most)) rows.delete(key)
  }
}

function noteOf(count) {
  if (count === 0) return 'None yet.'
  const more = count > ROWS_MOST ? `the newest ${ROWS_MOST} of ${format.number(count)}` : count
  return `${more} row${count === 1 ? '' : 's'}; /api/windows has all of them.`
}

function head(element, row) {
  const names = row ? [...Object.keys(row.key), ...Object.keys(row.values)] : []
  const wanted = JSON.stringify(names)
  if (element.dataset.names === wanted) return
  element.dataset.names = wanted
  const line = document.createElement('tr')
  for (const name of row ? ['Window', 'State', ...names] : []) {
    const cell = part('th', name)
    cell.scope = 'col'
    if (row && Object.hasOwn(row.values, name)) cell.className = 'number'
    line.append(cell)
  }
  element.replaceChildren(line)
}

function windowRow(row, index, all) {
  const isFirst = index === 0 || all[index - 1].start !== row.start
  return {
    key: keyOf(row),
    className: isFirst ? 'first' : '',
    cells: [
      { text: format.span(row.start, row.end), title: `${row.start} to ${row.end}` },
      row.state === 'open' ? { text: 'live', pill: 'running' } : { text: 'closed', pill: 'closed' },
      ...Object.values(row.key).map((value) => ({ text: groupText(value) })),
      ...Object.values(row.values).map((value) => ({ text: format.measure(value), number: true })),
    ],
  }
}

/** Null and the text "null" are different groups, and look it. */
const groupText = (value) => (value === null ? '∅' : String(value))
