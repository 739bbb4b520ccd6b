/**
 * The page: takes what the hub tells of /api/events and shows it. It computes nothing that the server
 * knows; it adds only how old what it shows is, and says what is stale.
 */
import { createCharts } from '/charts.js'
import { createControl } from '/control.js'
import { showCost } from '/cost.js'
import { createDecisions } from '/decisions.js'
import { createExecutors } from '/executors.js'
import * as format from '/format.js'
import { connect } from '/link.js'
import { createRejects } from '/rejects.js'
import { put } from '/rows.js'
import { createSeries } from '/series.js'
import { createSinks } from '/sinks.js'
import { showWatermark, showWay } from '/way.js'
import { createWindows } from '/windows.js'

const STALE_MS = 3_500
const RENDER_MS = 500
/** A name that stays: decisions of a longer past than events tell, for the marks of the charts. */
const MARKED_MOST = 1_000

const byId = (id) => document.getElementById(id)
const seen = {
  status: null,
  arrivedAt: 0,
  executors: [],
  cost: null,
  outage: null,
  connected: false,
}
let job = null
let windows = null
let showSinks = null
let marked = []

const control = createControl()
const decisions = createDecisions({ list: byId('decisions'), none: byId('noDecisions') })
const showExecutors = createExecutors({
  table: byId('executorsTable'),
  none: byId('noExecutors'),
  memory: byId('memory'),
  hosts: byId('hosts'),
  drain: (id) => control.drain(id),
})
const showRejects = createRejects()
const charts = createCharts(byId('charts'), { decisionsOf, now: serverNow })
const series = createSeries(() =>
  charts.show(series.columns(serverNow()), seen.status?.executors.max),
)

/** What is told before the job's form is known waits. */
let waiting = []

const handlers = {
  restart() {
    decisions.clear()
    windows?.clear()
    void series.fetch()
    void fetchMarks()
  },
  link({ connected }) {
    seen.connected = connected
  },
  status(status, ageMs) {
    seen.status = status
    seen.arrivedAt = performance.now() - ageMs
    seen.outage = null
    series.add(status)
  },
  executors({ executors }) {
    seen.executors = executors
    control.show({ executors })
    control.executorsChanged()
  },
  cost(cost) {
    seen.cost = cost
  },
  decision: (decision) => decisions.put(decision),
  total: (total) => windows.putTotal(total),
  window: (row) => windows.putRow(row),
  outage({ message }) {
    seen.outage = message
  },
}

function take(events) {
  if (!windows) {
    waiting.push(...events)
    return
  }
  for (const { name, data, ageMs = 0 } of events) handlers[name](data, ageMs)
  render()
}

/** Asked for once; without it there are no columns to show rows in. */
async function fetchJob() {
  try {
    const answer = await fetch('/api/job')
    if (!answer.ok) throw new Error(`status ${answer.status}`)
    job = await answer.json()
  } catch {
    setTimeout(() => void fetchJob(), RENDER_MS * 4)
    return
  }
  document.title = `${job.name} · Millrace`
  put(byId('job'), job.name)
  put(byId('topic'), `from ${job.topic}`)
  put(byId('version'), `Millrace ${job.version}`)
  byId('allJobs').hidden = !(job.jobs > 1)
  control.show({ job })
  windows = createWindows(job)
  showSinks = createSinks(job)
  const told = waiting
  waiting = []
  take(told)
}

/** A shadow must not be taken for the job itself. */
function versionText({ version }) {
  if (version?.stage === 'shadow') return `, a shadow of ${version.of}`
  if (version?.by) return `, replaced by ${version.by}`
  return ''
}

function render() {
  const { status, executors, cost } = seen
  showState()
  if (!status || document.hidden) return
  const now = serverNow()
  put(byId('topic'), `from ${job.topic}${versionText(status)}`)
  showWay(status, executors)
  showWatermark(status, now)
  showExecutors(executors, now, status.hosts, status.executors.max)
  decisions.render(now)
  put(byId('standing'), standingText(status))
  if (cost) showCost(cost, now)
  void showRejects(status, now)
  void showSinks?.(now)
  control.show({ status })
  windows.render()
  const { totals, backlog } = status
  byId('empty').hidden = !(totals.appended === 0 && !backlog.kafkaLag)
}

/** Why there are as many as there are, in one line above the decisions. */
function standingText({ executors: { count, min, max, maxResultDelayMs: delay }, state }) {
  if (state === 'stopped') return 'No supervisor leads: run bun run supervisor.'
  if (state === 'paused') return 'Paused by the operator: no executor runs.'
  if (min === null) return ''
  const within = delay === null ? '' : `, results within ${format.duration(delay)}`
  return `${format.count(count, 'executor')} of ${min} to ${max}${within}.`
}

/** State and freshness: what changes also when nothing comes. */
function showState() {
  const { status, outage, connected } = seen
  const ageMs = performance.now() - seen.arrivedAt
  const isStale = status === null || ageMs > STALE_MS || outage !== null
  document.body.classList.toggle('stale', isStale)
  const shown = isStale ? (status === null ? 'connecting' : 'stale') : status.state
  const state = byId('state')
  if (state.className !== `pill ${shown}`) state.className = `pill ${shown}`
  put(state, shown)
  put(
    byId('freshness'),
    status === null ? '' : isStale ? `as of ${format.duration(ageMs)} ago` : 'live',
  )
  const problem =
    outage ?? (connected ? null : 'The connection to the server is lost; trying again.')
  const notice = problem ?? (isStale ? null : status.reason)
  byId('notice').hidden = notice === null || (status === null && outage === null)
  put(byId('notice'), notice ?? '')
}

/** The server's time: its last word plus the time since. */
function serverNow() {
  if (!seen.status) return Date.now()
  return Date.parse(seen.status.at) + performance.now() - seen.arrivedAt
}

function decisionsOf() {
  const newest = decisions.all()
  const from = newest[0]?.id ?? ''
  return [...marked.filter(({ id }) => from === '' || isBefore(id, from)), ...newest]
}

const isBefore = (id, other) => {
  const [a, b] = [id, other].map((each) => each.split('-').map(Number))
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])
}

async function fetchMarks() {
  try {
    const answer = await fetch(`/api/decisions?limit=${MARKED_MOST}`)
    if (answer.ok) marked = (await answer.json()).decisions.toReversed()
  } catch {
    // Those that events tell are marked in any case.
  }
}

const spans = [...byId('spans').querySelectorAll('button')]
for (const button of spans) {
  button.addEventListener('click', () => {
    for (const other of spans) other.setAttribute('aria-pressed', String(other === button))
    void series.choose(button.dataset.span)
  })
}

document.addEventListener('visibilitychange', () => {
  windows?.redraw()
  render()
})
setInterval(render, RENDER_MS)
void fetchJob()
connect(take)
