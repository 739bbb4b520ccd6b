/**
 * The HTTP interface: routes, each a few lines that check the question, ask the read model and
 * answer. Nothing is decided here: numbers come from supervisor/status.ts, rows from the windows'
 * reader, and control calls write what the supervisor goes by.
 *
 * Every answer is JSON (but the page, /metrics and the event stream), every failure has one form
 * (errors.ts), every request passes guard.ts.
 */
import { type Context, Hono } from 'hono'
import { methodNotAllowed } from 'hono/method-not-allowed'
import type { Clock } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Log } from '../actors/log.ts'
import { isOutage, type Store } from '../actors/redis.ts'
import { countEntries } from '../supervisor/entries.ts'
import type { StatusReader } from '../supervisor/status-reader.ts'
import { loadAssets } from './assets.ts'
import { drainExecutor, setLimits, setPaused, setQuotas } from './control.ts'
import { errorAnswer, errorJson, HttpError } from './errors.ts'
import { Feed, LISTENERS_MOST } from './feed.ts'
import { type FollowedWindows, followWindows } from './followed.ts'
import { etagOf, unchanged } from './fresh.ts'
import { addressOf, controlGuards, hostGuard, securityHeaders } from './guard.ts'
import { refusalsLogged } from './refused.ts'
import { missingOf, sentenceOf } from './health.ts'
import { historyReader } from './history.ts'
import { jobReport } from './job.ts'
import { addJobs } from './jobs.ts'
import { loopReport } from './loop.ts'
import { METRICS_TYPE, metricsText } from './metrics.ts'
import { describe, describeText, documentOf, noBody } from './openapi.ts'
import { pageOf } from './pages.ts'
import * as queries from './queries.ts'
import { newestRejects } from './rejects.ts'
import * as schemas from './schemas.ts'
import { windowsSchema, windowTotalsSchema } from './window-schemas.ts'
import { checked, wellEncoded, withoutBody, withoutQuery } from './validate.ts'
import { windowsPage, windowsVersion } from './windows.ts'

export interface WebParts {
  reader: StatusReader
  store: Store
  keys: Keys
  job: Job
  clock: Clock
  log: Log
  /** Whether a broker answers; asked only where the bridge's news is old. */
  kafkaAnswers: () => Promise<boolean>
  /** Control calls need it; null: they work from this machine only. */
  token: string | null
  /** Names in Host that are ours, besides addresses and this machine's. */
  hosts?: readonly string[]
  /** Between two looks of the event stream. */
  tickMs?: number
}

export interface WebApp {
  app: Hono
  feed: Feed
}

export function createApp(parts: WebParts): WebApp {
  const app = new Hono()
  const windows = followWindows(parts)
  const feed = new Feed({ ...parts, windows })
  app.onError((error, c) => errorAnswer(error, c, parts.log))
  app.notFound((c) => errorJson(c, 404, 'not_found', `there is nothing at ${c.req.path}`))
  app.use(securityHeaders)
  app.use(wellEncoded)
  app.use(methodNotAllowed({ app, onMethodNotAllowed: wrongMethod }))
  app.use(hostGuard(parts.hosts ?? []))
  addHealth(app, parts)
  addJob(app, parts)
  addJobs(app, parts)
  addState(app, parts)
  addWindows(app, parts, windows)
  addRejects(app, parts)
  addEvents(app, feed)
  addControl(app, parts)
  addDocuments(app, parts)
  addPage(app)
  return { app, feed }
}

function addHealth(app: Hono, { reader, kafkaAnswers }: WebParts): void {
  const health = describe({
    id: 'getHealth',
    tag: 'Health',
    summary: 'The process lives',
    answers: { 200: schemas.healthSchema },
  })
  app.get('/healthz', health, (c) => c.json({ status: 'ok' as const }))

  const ready = describe({
    id: 'getReadiness',
    tag: 'Health',
    summary: 'Kafka, Redis and a leading supervisor answer; 503 says what is missing',
    answers: { 200: schemas.readySchema, 503: schemas.notReadySchema },
  })
  app.get('/readyz', ready, async (c) => {
    const missing = await missingOf(reader, kafkaAnswers)
    if (missing.length === 0) return c.json({ ready: true, missing })
    const error = { code: 'not_ready', message: sentenceOf(missing) }
    return c.json({ ready: false, missing, error }, 503)
  })
}

function addJob(app: Hono, { store, keys, job, clock, token }: WebParts): void {
  const about = describe({
    id: 'getJob',
    tag: 'State',
    summary: 'The job: its fields, windows, and how it may be controlled',
    answers: { 200: schemas.jobSchema },
  })
  app.get('/api/job', about, withoutQuery, async (c) => {
    // The page is shown while Redis is away too.
    const jobs = await countEntries(store).catch(() => null)
    return c.json(jobReport(job, token !== null, jobs))
  })

  const history = historyReader(store, keys, clock)
  const points = describe({
    id: 'getHistory',
    tag: 'State',
    summary: 'What was measured over time: backlog, executors, rates, delays',
    answers: { 200: schemas.historySchema },
  })
  app.get('/api/history', points, checked('query', queries.historyQuery), async (c) => {
    const { span, limit } = c.req.valid('query')
    return c.json(await history({ spanMs: span, limit }))
  })
}

function addState(app: Hono, { reader }: WebParts): void {
  const status = describe({
    id: 'getStatus',
    tag: 'State',
    summary: 'What the job does now',
    answers: { 200: schemas.statusSchema },
  })
  app.get('/api/status', status, withoutQuery, async (c) => c.json(await reader.status()))

  const executors = describe({
    id: 'listExecutors',
    tag: 'State',
    summary: 'Executors, the dead for a while too',
    answers: { 200: schemas.executorsSchema },
  })
  app.get('/api/executors', executors, withoutQuery, async (c) => c.json(await reader.executors()))

  const decisions = describe({
    id: 'listDecisions',
    tag: 'State',
    summary: 'Scaling decisions, newest first',
    description:
      'With `since` only newer ones. What a decision took to take effect is known later.',
    answers: { 200: schemas.decisionsSchema },
  })
  app.get('/api/decisions', decisions, checked('query', queries.decisionsQuery), async (c) => {
    const { limit, since, cursor } = c.req.valid('query')
    const found = await reader.decisions(limit + 1, { since, before: cursor })
    const { rows, ...next } = pageOf(found.decisions, limit)
    return c.json({ decisions: rows, ...next })
  })

  const cost = describe({
    id: 'getCost',
    tag: 'State',
    summary: 'Executor time against a static fleet',
    answers: { 200: schemas.costSchema },
  })
  app.get('/api/cost', cost, withoutQuery, async (c) => c.json(await reader.cost()))

  const sinks = describe({
    id: 'getSinks',
    tag: 'State',
    summary: 'The sinks of closed windows: where they are, and what is wrong',
    answers: { 200: schemas.sinksSchema },
  })
  app.get('/api/sinks', sinks, withoutQuery, async (c) => c.json({ sinks: await reader.sinks() }))

  const loop = describe({
    id: 'getLoop',
    tag: 'State',
    summary: "The supervisor's loop: how late, how long, and its newest decision",
    answers: { 200: schemas.loopSchema },
  })
  app.get('/api/loop', loop, withoutQuery, async (c) => c.json(loopReport(await reader.loop())))
}

function addWindows(
  app: Hono,
  { store, keys, job, clock }: WebParts,
  followed: FollowedWindows,
): void {
  const rows = describe({
    id: 'listWindows',
    tag: 'Records',
    summary: 'Rows of open and closed windows, newest first',
    description:
      'A field that groups the rows bounds them to one value of it. A group field that is named like' +
      ' another field here needs `key.` in front.',
    answers: { 200: windowsSchema },
    conditional: true,
  })
  const windowsQuery = queries.windowsQueryOf(job.groups.map(({ name }) => name))
  // The same panes read by another process may be another job's code.
  const process = `${clock.now()} ${clock.random()}`
  app.get('/api/windows', rows, checked('query', windowsQuery), async (c) => {
    // The version first: what changes meanwhile is told again, never left out.
    const version = await windowsVersion(store, keys)
    const etag = etagOf(JSON.stringify([process, version, c.req.url]))
    return unchanged(c, etag) ?? c.json(await windowsPage(store, keys, job, c.req.valid('query')))
  })

  const totals = describe({
    id: 'listWindowTotals',
    tag: 'Records',
    summary: 'The newest windows, each as one row over all of its groups',
    answers: { 200: windowTotalsSchema },
  })
  app.get('/api/windows/totals', totals, checked('query', queries.totalsQuery), async (c) => {
    const windows = await followed.totals(c.req.valid('query').limit)
    return c.json({ windows })
  })
}

function addRejects(app: Hono, { store, keys }: WebParts): void {
  const rejects = describe({
    id: 'listRejects',
    tag: 'Records',
    summary: 'Records that were not counted, newest first',
    answers: { 200: schemas.rejectsSchema },
  })
  app.get('/api/rejects', rejects, checked('query', queries.rejectsQuery), async (c) => {
    const { limit, reason, since, cursor } = c.req.valid('query')
    const wanted = { limit: limit + 1, reason, since, before: cursor }
    const { rows, ...next } = pageOf(await newestRejects(store, keys, wanted), limit)
    return c.json({ rejects: rows, ...next })
  })
}

function addEvents(app: Hono, feed: Feed): void {
  const events = describeText(
    {
      id: 'listenToEvents',
      tag: 'State',
      summary: 'Server-sent events: status, executors, cost, decision, window, outage, heartbeat',
      fails: ['TooManyListeners'],
    },
    { type: 'text/event-stream', description: 'Each event has one line of JSON' },
  )
  // Proxies that gather answers would hold events back.
  const headers = { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' }
  app.get('/api/events', events, withoutQuery, (c) => {
    // Who asks for the headers alone would never read, and would take a place.
    if (c.req.method === 'HEAD') return c.body(null, 200, headers)
    const stream = feed.listen(c.req.raw.signal)
    if (!stream) {
      throw new HttpError(503, 'too_many_listeners', `${LISTENERS_MOST} listen already`)
    }
    return c.body(stream, 200, headers)
  })
}

function addControl(app: Hono, parts: WebParts): void {
  const calls = [
    '/api/executors',
    '/api/quotas',
    '/api/executors/:id/drain',
    '/api/pause',
    '/api/resume',
  ]
  app.on('POST', calls, refusalsLogged(parts.log, parts.clock), ...controlGuards(parts.token))
  const caller = (c: Context) => addressOf(c) ?? 'unknown'

  const limits = describe({
    id: 'setLimits',
    tag: 'Control',
    summary: 'Sets the least and the most executors, and how old a result may be',
    answers: { 200: schemas.controlSchema },
  })
  app.post(
    '/api/executors',
    limits,
    withoutQuery,
    checked('json', queries.limitsSchema),
    async (c) => c.json(await setLimits(parts, c.req.valid('json'), caller(c))),
  )
  const quotas = describe({
    id: 'setQuotas',
    tag: 'Control',
    summary: 'Sets how many records a second and how much of Redis’s memory the job may have',
    description: 'What is over waits in Kafka. 0 ends a quota; one that is absent stays as it is.',
    answers: { 200: schemas.quotaAnswerSchema },
  })
  app.post('/api/quotas', quotas, withoutQuery, checked('json', queries.quotasSchema), async (c) =>
    c.json(await setQuotas(parts, c.req.valid('json'), caller(c))),
  )
  const drain = describe({
    id: 'drainExecutor',
    tag: 'Control',
    summary: 'Asks one executor to finish what it has in hand and leave',
    description:
      'Nothing is lost and nothing done twice. Another one begins in its place where as many are' +
      ' still needed; to have fewer, set the limits.',
    answers: { 200: schemas.drainSchema },
    fails: ['NotFound', 'Conflict'],
  })
  const named = checked('param', queries.executorParam)
  app.post('/api/executors/:id/drain', drain, noBody, withoutQuery, withoutBody, named, async (c) =>
    c.json(await drainExecutor(parts, c.req.valid('param').id, caller(c))),
  )
  for (const [id, paused, summary] of [
    ['pause', true, 'Pauses the job: its executors leave, and records wait'],
    ['resume', false, 'Resumes the job'],
  ] as const) {
    const route = describe({ id, tag: 'Control', summary, answers: { 200: schemas.pauseSchema } })
    app.post(`/api/${id}`, route, noBody, withoutQuery, withoutBody, async (c) =>
      c.json(await setPaused(parts, paused, caller(c))),
    )
  }
}

function addDocuments(app: Hono, { reader }: WebParts): void {
  const metrics = describeText(
    { id: 'getMetrics', tag: 'Health', summary: "The status in Prometheus's text format" },
    { type: 'text/plain', description: 'Metrics' },
  )
  app.get('/metrics', metrics, async (c) => {
    const text = await metricsText(await metricsSource(reader))
    return c.body(text, 200, { 'Content-Type': METRICS_TYPE })
  })
  let document: Promise<string> | null = null
  app.get('/openapi.json', async (c) => {
    const text = await (document ??= documentOf(app))
    return unchanged(c, etagOf(text)) ?? c.body(text, 200, { 'Content-Type': 'application/json' })
  })
}

function addPage(app: Hono): void {
  for (const { path, type, body, etag } of loadAssets()) {
    app.get(path, (c) => unchanged(c, etag) ?? c.body(body, 200, { 'Content-Type': type }))
  }
}

/** Redis's absence is a number of its own here, not a failed scrape. */
async function metricsSource(reader: StatusReader) {
  try {
    const [status, { actors }, partitions, sinks, tallies, cost, loop, leader] = await Promise.all([
      reader.status(),
      reader.actors(),
      reader.partitions(),
      reader.sinks(),
      reader.tallies(),
      reader.cost(),
      reader.loop(),
      reader.leader(),
    ])
    // A shadow's are held back, which is not to raise an alarm.
    const own = status.version?.stage === 'shadow' ? [] : sinks
    return { status, actors, partitions, sinks: own, tallies, cost, loop, leader }
  } catch (error) {
    if (!isOutage(error)) throw error
    const nothing = { status: null, tallies: null, cost: null, loop: null, leader: null }
    return { ...nothing, actors: [], partitions: [], sinks: [] }
  }
}

function wrongMethod(c: Context, methods: string[]): Response {
  c.header('Allow', methods.join(', '))
  return errorJson(c, 405, 'method_not_allowed', `allowed here: ${methods.join(', ')}`)
}
