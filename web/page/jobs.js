/**
 * The page of all jobs on one Redis: asks /api/jobs again and again while somebody looks, and shows a row
 * a job. Names, reasons and addresses are anybody's word: they enter the page as text, links to pages only.
 */
import * as format from '/format.js'
import { createForget } from '/forget.js'
import { createHead, createRows, put } from '/rows.js'

const ASK_MS = 2_000
/** What is shown is stale when nothing came for so long. */
const STALE_MS = 6_000

const columns = [
  { text: 'Job' },
  { text: 'State' },
  { text: 'Topic' },
  { text: 'In / s', number: true },
  { text: 'Out / s', number: true },
  { text: 'Waiting', number: true },
  { text: 'In Kafka', number: true },
  { text: 'Executors', number: true },
  { text: 'Delay p50', number: true },
  { text: 'p99', number: true },
  { text: 'Leads for', number: true },
  { text: 'Reason' },
  { text: '' },
]

const byId = (id) => document.getElementById(id)
const show = createRows(byId('jobsTable').tBodies[0])
const forget = createForget(() => void ask())
let answeredAt = -Infinity
let problem = null

createHead(byId('jobsTable').tHead)(columns)

async function ask() {
  try {
    const answer = await fetch('/api/jobs')
    const body = await answer.json()
    if (!answer.ok) throw new Error(body.error.message)
    problem = null
    answeredAt = performance.now()
    showJobs(body)
  } catch (error) {
    problem = error instanceof TypeError ? 'The server does not answer.' : error.message
  }
  showState()
}

function showJobs({ jobs, more }) {
  const working = jobs.filter(({ state }) => state !== 'stopped').length
  put(byId('count'), `${format.number(working)} of ${format.number(jobs.length)} at work`)
  byId('none').hidden = jobs.length > 0
  byId('jobsTable').hidden = jobs.length === 0
  put(byId('more'), more > 0 ? `And ${format.count(more, 'more job')}.` : '')
  show(jobs.map(rowOf))
}

function rowOf(one) {
  const { job, state, topics, executors, rates, backlog, latencyMs, page } = one
  const stopped = state === 'stopped'
  const stoppedSince = `last seen ${format.ago(Date.now() - Date.parse(one.at))}`
  const reason = stopped ? stoppedSince : (one.reason ?? '')
  const count = executors.count === null ? '–' : format.number(executors.count)
  return {
    // A link can't become a text in place.
    key: `${job} ${page}`,
    className: stopped ? 'gone' : '',
    cells: [
      { text: job, href: page, title: page ?? '' },
      { text: state, pill: state },
      { text: topics.join(', '), title: `on ${one.host}` },
      { text: format.rate(rates.inPerSecond), number: true },
      { text: format.rate(rates.outPerSecond), number: true },
      { text: format.compact(backlog.records), number: true },
      { text: format.compact(backlog.kafkaLag), number: true },
      { text: `${count} of ${executors.min} to ${executors.max}`, number: true },
      { text: format.duration(latencyMs.p50), number: true },
      { text: format.duration(latencyMs.p99), number: true },
      {
        text: stopped ? '–' : ageText(one.since),
        number: true,
        title: `since ${format.absolute(one.since)}`,
      },
      { text: reason, title: one.reason ?? '', className: 'reason' },
      {
        text: stopped ? 'Forget' : '',
        button: { label: `Forget ${job}`, press: () => forget(job) },
      },
    ],
  }
}

const ageText = (since) => format.duration(Date.now() - Date.parse(since))

function showState() {
  const ageMs = performance.now() - answeredAt
  const isStale = ageMs > STALE_MS
  const never = answeredAt === -Infinity
  document.body.classList.toggle('stale', isStale)
  const shown = never ? 'connecting' : isStale ? 'stale' : 'live'
  byId('state').className = `pill ${shown === 'live' ? 'running' : shown}`
  put(byId('state'), shown)
  put(byId('freshness'), isStale && !never ? `as of ${format.duration(ageMs)} ago` : '')
  byId('notice').hidden = problem === null
  put(byId('notice'), problem ?? '')
}

async function follow() {
  if (!document.hidden) await ask()
  setTimeout(() => void follow(), ASK_MS)
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void ask()
})
setInterval(showState, 1_000)
void follow()
