/**
 * Windows: a strip of the recent ones with a slider over it, the chosen one as a heat map and as a table,
 * and the newest live and closed rows. Follows the live ones until somebody chooses another. Of sessions,
 * which each have bounds of their own, a bar is a span as long as the gap, with those that end in it.
 *
 *   totals (a window each) → strip · rows of the chosen window: told by events, or asked for → heat, table
 */
import * as format from '/format.js'
import { createHeat } from '/heat.js'
import { newestFirst, trimRows, trimTotals } from '/kept.js'
import { defaultMeasure, measuresOf, valueOf } from '/measures.js'
import { createHead, createRows, put } from '/rows.js'
import { createStrip } from '/strip.js'

const ROWS_MOST = 600
const ASKED_MOST = 1_000
/** One question a second about a window that changes all the time. */
const ASK_MS = 1_000

const byId = (id) => document.getElementById(id)

export function createWindows({ groups, aggregates, window: { gapMs } }) {
  const totals = new Map()
  const rows = new Map()
  const measures = measuresOf(aggregates)
  const view = { measure: defaultMeasure(aggregates), filter: '', shows: 'one', chosen: null }
  /** Rows of a window that events do not tell in full: { start, version, rows, at }. */
  let asked = null
  let changed = true

  const heat = createHeat(byId('heat'), byId('heatCaption'), groups)
  const showHead = createHead(byId('windowsTable').tHead)
  const showRows = createRows(byId('windowsTable').tBodies[0])
  const strip = createStrip(byId('strip'), byId('slider'), (start) => choose(start))

  const ordered = () => [...totals.values()].sort((a, b) => a.start.localeCompare(b.start))
  const shown = (order) => {
    const chosen = view.chosen && totals.get(view.chosen)
    return chosen ?? followed(order)
  }
  const sessions = gapMs !== undefined
  const windowText = sessions ? sessionsText : oneText
  const isOf = (row, { start, end }) =>
    sessions ? row.end > start && row.end <= end : row.start === start
  const touch = () => {
    changed = true
    render()
  }
  const choose = (start) => {
    view.chosen = start
    touch()
  }

  const render = () => {
    if (!changed || document.hidden) return
    changed = false
    const order = ordered()
    const total = shown(order)
    strip.show(order, total?.start ?? null, view.measure)
    byId('follow').setAttribute('aria-pressed', String(view.chosen === null))
    put(byId('shownWindow'), total ? windowText(total) : 'no window yet')
    const ofWindow = total ? rowsOf(total) : []
    const filtered = ofWindow.filter((row) => matches(row, view.filter))
    heat.show(filtered, view.measure, total ? windowText(total) : '')
    showTable(order, filtered)
  }

  /** Events tell the newest rows; of a larger or an older window they are asked for. */
  const rowsOf = (total) => {
    const told = [...rows.values()].filter((row) => isOf(row, total))
    // Sessions can't be asked for by when they end.
    if (told.length >= total.groups || sessions) return told
    const version = JSON.stringify(total)
    if (asked?.start !== total.start || asked.version !== version) void ask(total.start, version)
    return asked?.start === total.start ? asked.rows : told
  }

  const ask = async (start, version) => {
    const now = performance.now()
    if (asked?.start === start && now - asked.at < ASK_MS) {
      changed = true
      return
    }
    asked = { start, version, rows: asked?.start === start ? asked.rows : [], at: now }
    const query = `from=${Date.parse(start)}&to=${Date.parse(start) + 1}&limit=${ASKED_MOST}`
    try {
      const answer = await fetch(`/api/windows?${query}`)
      const { windows } = await answer.json()
      if (asked.start !== start || !answer.ok) return
      asked.rows = windows
      touch()
    } catch {
      // The page says that the connection is lost; what it knew stays.
    }
  }

  const showTable = (order, ofWindow) => {
    const isOne = view.shows === 'one'
    // Rows of one window have its bounds.
    const bounds = sessions ? 'Session' : isOne ? null : 'Window'
    const wanted = isOne ? byMeasure(ofWindow, view.measure) : newest(rows, view)
    const columns = [
      ...(bounds === null ? [] : [{ text: bounds }]),
      ...groups.map((text) => ({ text })),
      ...aggregates.map(({ name }) => ({ text: name, number: true })),
    ]
    showHead(columns)
    showRows(wanted.slice(0, ROWS_MOST).map((row) => tableRow(row, { bounds, groups, aggregates })))
    put(byId('windowsNote'), noteOf(order, wanted.length, view.filter))
  }

  listen(view, measures, touch, () => {
    view.chosen = null
    touch()
  })
  fillMeasures(measures, view.measure)
  if (sessions) nameSessions()
  return {
    clear() {
      totals.clear()
      rows.clear()
      changed = true
    },
    putTotal(total) {
      totals.set(total.start, total)
      trimTotals(totals)
      changed = true
    },
    putRow(row) {
      rows.set(JSON.stringify([row.start, Object.values(row.key)]), row)
      changed = true
    },
    render() {
      trimRows(rows)
      render()
    },
    redraw: touch,
  }
}

function listen(view, measures, touch, follow) {
  byId('measure').addEventListener('change', ({ target }) => {
    view.measure = measures.find(({ id }) => id === target.value)
    touch()
  })
  byId('groupFilter').addEventListener('input', ({ target }) => {
    view.filter = target.value.trim().toLowerCase()
    touch()
  })
  byId('follow').addEventListener('click', follow)
  const buttons = [...byId('rowsShown').querySelectorAll('button')]
  for (const button of buttons) {
    button.addEventListener('click', () => {
      for (const other of buttons) other.setAttribute('aria-pressed', String(other === button))
      view.shows = button.dataset.show
      touch()
    })
  }
}

function fillMeasures(measures, chosen) {
  const options = measures.map(({ id, name }) => new Option(name, id, false, id === chosen.id))
  byId('measure').replaceChildren(...options)
}

function nameSessions() {
  put(byId('windowsTitle'), 'Sessions')
  put(byId('rowsShown').querySelector('[data-show=one]'), 'These')
}

/** The newest but one: the newest has only begun, and is nearly empty each time. */
const followed = (order) => order.at(-2) ?? order.at(-1) ?? null

const matches = (row, filter) =>
  filter === '' ||
  Object.values(row.key).some((value) => String(value).toLowerCase().includes(filter))

const byMeasure = (rows, measure) =>
  [...rows].sort(
    (a, b) => (valueOf(b.values, measure) ?? -Infinity) - (valueOf(a.values, measure) ?? -Infinity),
  )

function newest(rows, { shows, filter }) {
  return [...rows.values()]
    .filter((row) => row.state === shows && matches(row, filter))
    .sort(newestFirst)
}

function tableRow(row, { bounds, groups, aggregates }) {
  return {
    key: JSON.stringify([row.start, Object.values(row.key)]),
    cells: [
      ...(bounds === null ? [] : [{ text: format.span(row.start, row.end), title: row.state }]),
      ...groups.map((name) => ({ text: format.groupValue(row.key[name]) })),
      ...aggregates.map(({ name }) => valueCell(row.values[name])),
    ],
  }
}

/** Several values, as quantiles are, take more than one line where there is no room. */
function valueCell(value) {
  const isSeveral = typeof value === 'object' && value !== null
  return { text: format.measure(value), className: isSeveral ? 'several' : 'number' }
}

const oneText = ({ start, end, state, groups }) =>
  `${format.span(start, end)}, ${kindOf(state)}, ${format.count(groups, 'group')}`

const sessionsText = ({ start, end, state, groups }) =>
  `${format.count(groups, 'session')} with an end in ${format.span(start, end)}, ${kindOf(state)}`

const kindOf = (state) => (state === 'open' ? 'live' : 'closed')

function noteOf(order, count, filter) {
  if (order.length === 0) return 'No window yet: records bring them.'
  if (count === 0 && filter !== '') return 'No group here has that in a field.'
  const most = count > ROWS_MOST ? `, the first ${format.number(ROWS_MOST)} shown` : ''
  return `${format.count(count, 'row')}${most}; /api/windows has all of them.`
}
