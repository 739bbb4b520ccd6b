/**
 * The page: listens to /api/events and shows what comes. It computes nothing that the server knows;
 * it adds only how old what it shows is. Reconnects by itself, and says what is stale.
 */
import { createCharts } from '/charts.js'
import * as format from '/format.js'
import { createDecisions, createExecutors, createWindows } from '/tables.js'

const STALE_MS = 3_500
const RETRY_MS = 2_000
/** A page that nobody sees stops listening after a while, so that the server may rest. */
const HIDDEN_MS = 60_000

const byId = (id) => document.getElementById(id)
const charts = createCharts({ backlog: byId('backlogChart'), executors: byId('executorsChart') })
const showExecutors = createExecutors(byId('executorsTable'), byId('noExecutors'))
const decisions = createDecisions(byId('decisions'), byId('noDecisions'))
const windows = createWindows(byId('windowsTable'), byId('windowsNote'))

const seen = { status: null, arrivedAt: 0, executors: [], outage: null, connected: false }
let source = null
let hiddenTimer = 0

function connect() {
  source?.close()
  source = new EventSource('/api/events')
  source.addEventListener('open', () => {
    seen.connected = true
    decisions.clear()
    windows.clear()
  })
  source.addEventListener('error', () => {
    seen.connected = false
    // The browser tries again by itself, unless the server refused outright.
    if (source?.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS)
    showState()
  })
  on('status', showStatus)
  on('executors', (data) => {
    seen.executors = data.executors
    showExecutors(seen.executors, serverNow())
  })
  on('cost', showCost)
  on('decision', (data) => decisions.put(data))
  on('window', (data) => windows.put(data))
  on('history', (data) => charts.restart(data.points))
  on('outage', (data) => {
    seen.outage = data.message
    showState()
  })
}

function on(name, handle) {
  source.addEventListener(name, (event) => handle(JSON.parse(event.data)))
}

function showStatus(status) {
  seen.status = status
  seen.arrivedAt = performance.now()
  seen.outage = null
  const { backlog, executors, rates, latencyMs, totals } = status
  document.title = `${status.job} · Millrace`
  put('job', status.job)
  put('topic', `from ${status.topic}`)
  put('kafkaLag', format.compact(backlog.kafkaLag))
  put('inPerSecond', format.rate(rates.inPerSecond))
  put('backlog', format.compact(backlog.records))
  put(
    'entries',
    `in ${format.number(backlog.entries)} entries, ${format.number(backlog.pending)} held`,
  )
  put('executors', format.number(executors.count))
  put('limits', limitsText(executors))
  put('outPerSecond', format.rate(rates.outPerSecond))
  put('latency', format.shortDuration(latencyMs.p50))
  put(
    'latencyTail',
    latencyMs.p99 === null ? 'Kafka to commit' : `p99 ${format.duration(latencyMs.p99)}`,
  )
  showTotals(totals)
  byId('empty').hidden = !(totals.appended === 0 && !backlog.kafkaLag)
  charts.add(Date.parse(status.at), {
    backlog: backlog.records,
    kafkaLag: backlog.kafkaLag,
    executors: executors.count,
    max: executors.max,
  })
  showState()
}

function showTotals(totals) {
  for (const name of ['appended', 'committed', 'counted', 'filtered', 'late', 'rejected']) {
    put(name, format.number(totals[name]))
  }
  put('unaccounted', format.number(totals.unaccounted))
  byId('unaccountedStep').classList.toggle('wrong', totals.unaccounted !== 0)
}

function limitsText({ min, max, policy }) {
  if (min === null || max === null) return 'running'
  return `of ${min} to ${max}${policy ? `, ${policy}` : ''}`
}

function showCost(cost) {
  put('used', format.duration(cost.executorSeconds * 1_000))
  put('static', format.duration(cost.staticExecutorSeconds * 1_000))
  const { used, saved } = cost.money
  put('saved', `${format.share(cost.savedShare)}, ${format.money(saved)}`)
  put('money', format.money(used))
  byId('money').title = `at ${format.measure(cost.pricePerExecutorHour)} an executor-hour`
}

/** State, freshness and the watermark's age: what changes also when nothing comes. */
function showState() {
  const { status, outage, connected } = seen
  const ageMs = performance.now() - seen.arrivedAt
  const isStale = status === null || ageMs > STALE_MS || outage !== null
  document.body.classList.toggle('stale', isStale)
  const state = byId('state')
  const shown = isStale ? (status === null ? 'connecting' : 'stale') : status.state
  state.className = `pill ${shown}`
  put('state', shown)
  put('freshness', freshnessText(isStale, ageMs))
  const problem =
    outage ?? (connected ? null : 'The connection to the server is lost; trying again.')
  const notice = problem ?? (isStale ? null : status.reason)
  byId('notice').hidden = notice === null || (status === null && outage === null)
  put('notice', notice ?? '')
  if (status) showWatermark(status)
}

function freshnessText(isStale, ageMs) {
  if (seen.status === null) return ''
  return isStale ? `as of ${format.duration(ageMs)} ago` : 'live'
}

function showWatermark({ watermark, watermarkHeldBy }) {
  const age = watermark === null ? null : serverNow() - Date.parse(watermark)
  put('watermark', format.shortDuration(age))
  put(
    'watermarkHeld',
    watermarkHeldBy === null ? 'behind now' : `behind, partition ${watermarkHeldBy}`,
  )
}

/** The server's time: its last word plus the time since. */
function serverNow() {
  if (!seen.status) return Date.now()
  return Date.parse(seen.status.at) + performance.now() - seen.arrivedAt
}

function put(id, text) {
  const element = byId(id)
  if (element.textContent !== text) element.textContent = text
}

for (const button of document.querySelectorAll('[data-show]')) {
  button.addEventListener('click', () => {
    for (const other of document.querySelectorAll('[data-show]')) {
      other.setAttribute('aria-pressed', String(other === button))
    }
    windows.filter(button.dataset.show)
  })
}

document.addEventListener('visibilitychange', () => {
  clearTimeout(hiddenTimer)
  if (document.hidden) {
    hiddenTimer = setTimeout(() => {
      source?.close()
      source = null
    }, HIDDEN_MS)
  } else if (source === null) {
    connect()
  }
})

setInterval(() => {
  showState()
  windows.render()
  if (seen.status && !document.body.classList.contains('stale')) {
    showExecutors(seen.executors, serverNow())
  }
}, 500)

connect()
