/**
 * The HTTP interface: routes, each a few lines that check the question, ask the read model and
 * answer. Nothing is decided here: numbers come from supervisor/status.ts, rows from the windows'
 * reader, and control calls write what the supervisor goes by.
 *
 * Every answer is JSON (but the page, /metrics and the event stream), every failure has one form
 * (errors.ts), every request passes guard.ts.
 */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { describeRoute, openAPIRouteHandler, resolver, validator } from 'hono-openapi'
import { methodNotAllowed } from 'hono/method-not-allowed'
import type * as v from 'valibot'
import type { Clock } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import type { Log } from '../actors/log.ts'
import { isOutage, type Store } from '../actors/redis.ts'
import type { StatusReader } from '../supervisor/status.ts'
import { loadAssets } from './assets.ts'
import { setLimits, setPaused } from './control.ts'
import { errorAnswer, errorJson, HttpError } from './errors.ts'
import { Feed, LISTENERS_MOST } from './feed.ts'
import { type FollowedWindows, followWindows } from './followed.ts'
import { controlGuards, hostGuard, securityHeaders } from './guard.ts'
import { missingOf, sentenceOf } from './health.ts'
import { historyReader } from './history.ts'
import { jobReport } from './job.ts'
import { loopReport } from './loop.ts'
import { METRICS_TYPE, metricsText } from './metrics.ts'
import { newestRejects } from './rejects.ts'
import * as schemas from './schemas.ts'
import { windowsPage } from './windows.ts'

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
  app.use(methodNotAllowed({ app, onMethodNotAllowed: wrongMethod }))
  app.use(hostGuard(parts.hosts ?? []))
  addHealth(app, parts)
  addJob(app, parts)
  addReads(app, parts)
  addWindows(app, parts, windows)
  addEvents(app, feed)
  addControl(app, parts)
  addDocuments(app, parts)
  addPage(app)
  return { app, feed }
}

function addHealth(app: Hono, { reader, kafkaAnswers }: WebParts): void {
  app.get('/healthz', describe('The process lives', { 200: schemas.healthSchema }), (c) =>
    c.json({ status: 'ok' as const }),
  )
  const ready = describe('Kafka, Redis and a leading supervisor answer', {
    200: schemas.readySchema,
    503: schemas.notReadySchema,
  })
  app.get('/readyz', ready, async (c) => {
    const missing = await missingOf(reader, kafkaAnswers)
    if (missing.length === 0) return c.json({ ready: true, missing })
    const error = { code: 'not_ready', message: sentenceOf(missing) }
    return c.json({ ready: false, missing, error }, 503)
  })
}

function addReads(app: Hono, { reader, store, keys }: WebParts): void {
  const status = describe('What the job does now', { 200: schemas.statusSchema })
  app.get('/api/status', status, async (c) => c.json(await reader.status()))

  const executors = describe('Executors, the dead for a while too', {
    200: schemas.executorsSchema,
  })
  app.get('/api/executors', executors, async (c) => c.json(await reader.executors()))

  const decisions = describe('Scaling decisions, newest first', { 200: schemas.decisionsSchema })
  app.get('/api/decisions', decisions, checked('query', schemas.decisionsQuery), async (c) =>
    c.json(await reader.decisions(c.req.valid('query').limit)),
  )

  const cost = describe('Executor time against a static fleet', { 200: schemas.costSchema })
  app.get('/api/cost', cost, async (c) => c.json(await reader.cost()))

  const loop = describe("The supervisor's loop: how late, how long, and its newest decision", {
    200: schemas.loopSchema,
  })
  app.get('/api/loop', loop, async (c) => c.json(loopReport(await reader.loop())))

  const rejects = describe('Records that were not counted, newest first', {
    200: schemas.rejectsSchema,
  })
  app.get('/api/rejects', rejects, checked('query', schemas.rejectsQuery), async (c) => {
    const { limit, reason } = c.req.valid('query')
    return c.json({ rejects: await newestRejects(store, keys, limit, reason) })
  })
}

function addJob(app: Hono, { store, keys, job, clock, token }: WebParts): void {
  const about = describe('The job: its fields, windows, and how it may be controlled', {
    200: schemas.jobSchema,
  })
  app.get('/api/job', about, (c) => c.json(jobReport(job, token !== null)))

  const history = historyReader(store, keys, clock)
  const points = describe('What was measured over time: backlog, executors, rates, delays', {
    200: schemas.historySchema,
  })
  app.get('/api/history', points, checked('query', schemas.historyQuery), async (c) => {
    const { span, limit } = c.req.valid('query')
    return c.json(await history({ spanMs: span, limit }))
  })
}

function addWindows(app: Hono, { store, keys, job }: WebParts, followed: FollowedWindows): void {
  const rows = describe('Rows of open and closed windows, newest first', {
    200: schemas.windowsSchema,
  })
  const windowsQuery = schemas.windowsQueryOf(job.groups.map(({ name }) => name))
  app.get('/api/windows', rows, checked('query', windowsQuery), async (c) =>
    c.json(await windowsPage(store, keys, job, c.req.valid('query'))),
  )

  const totals = describe('The newest windows, each as one row over all of its groups', {
    200: schemas.windowTotalsSchema,
  })
  app.get('/api/windows/totals', totals, checked('query', schemas.totalsQuery), async (c) => {
    const windows = await followed.totals(c.req.valid('query').limit)
    return c.json({ windows })
  })
}

function addEvents(app: Hono, feed: Feed): void {
  const events = describeRoute({
    summary: 'Server-sent events: status, executors, cost, decision, window, outage, heartbeat',
    responses: {
      200: { description: 'Each event has one line of JSON', content: { 'text/event-stream': {} } },
      503: failure('As many listen as may'),
    },
  })
  app.get('/api/events', events, (c) => {
    const stream = feed.listen(c.req.raw.signal)
    if (!stream) {
      throw new HttpError(503, 'too_many_listeners', `${LISTENERS_MOST} listen already`)
    }
    // Proxies that gather answers would hold events back.
    const headers = { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' }
    return c.body(stream, 200, headers)
  })
}

function addControl(app: Hono, { store, keys, token }: WebParts): void {
  const guards = controlGuards(token)
  const limits = describe('Sets the least and the most executors', {
    200: schemas.controlSchema,
  })
  app.on('POST', ['/api/executors', '/api/pause', '/api/resume'], ...guards)
  app.post('/api/executors', limits, checked('json', schemas.limitsSchema), async (c) =>
    c.json(await setLimits(store, keys, c.req.valid('json'))),
  )
  const paused = (summary: string) => describe(summary, { 200: schemas.pauseSchema })
  app.post('/api/pause', paused('Pauses the job'), async (c) =>
    c.json(await setPaused(store, keys, true)),
  )
  app.post('/api/resume', paused('Resumes the job'), async (c) =>
    c.json(await setPaused(store, keys, false)),
  )
}

function addDocuments(app: Hono, { reader }: WebParts): void {
  const metrics = describeRoute({
    summary: "The status in Prometheus's text format",
    responses: { 200: { description: 'Metrics', content: { 'text/plain': {} } } },
  })
  app.get('/metrics', metrics, async (c) => {
    const text = await metricsText(await metricsSource(reader))
    return c.body(text, 200, { 'Content-Type': METRICS_TYPE })
  })
  const info = { title: 'Millrace', version: '1', description: 'State and control of one job.' }
  app.get(
    '/openapi.json',
    openAPIRouteHandler(app, {
      documentation: { info },
      defaultValidationErrorResponse: false,
    }),
  )
}

function addPage(app: Hono): void {
  for (const { path, type, body, etag } of loadAssets()) {
    app.get(path, (c) => {
      const headers = { 'Content-Type': type, ETag: etag, 'Cache-Control': 'no-cache' }
      if (c.req.header('If-None-Match') === etag) return c.body(null, 304, headers)
      return c.body(body, 200, headers)
    })
  }
}

/** Redis's absence is a number of its own here, not a failed scrape. */
async function metricsSource(reader: StatusReader) {
  try {
    const [status, { actors }, partitions, tallies, cost, loop, leader] = await Promise.all([
      reader.status(),
      reader.actors(),
      reader.partitions(),
      reader.tallies(),
      reader.cost(),
      reader.loop(),
      reader.leader(),
    ])
    return { status, actors, partitions, tallies, cost, loop, leader }
  } catch (error) {
    if (!isOutage(error)) throw error
    const nothing = { status: null, tallies: null, cost: null, loop: null, leader: null }
    return { ...nothing, actors: [], partitions: [] }
  }
}

/** A validator whose refusal has our form. */
function checked<Target extends 'query' | 'json', Schema extends v.GenericSchema>(
  target: Target,
  schema: Schema,
) {
  return validator(
    target,
    schema,
    (result) => {
      if (!result.success) {
        const message = result.error[0]?.message ?? 'the question can not be used'
        throw new HttpError(400, 'bad_request', message)
      }
    },
    { options: { typeMode: 'input', errorMode: 'ignore' } },
  )
}

function describe(
  summary: string,
  answers: Partial<Record<200 | 503, v.GenericSchema>>,
): MiddlewareHandler {
  const described = Object.entries(answers).map(([status, schema]) => [
    status,
    { description: summary, content: { 'application/json': { schema: resolver(schema) } } },
  ])
  const failures = {
    400: failure('The question can not be used'),
    503: failure('Redis does not answer'),
  }
  return describeRoute({ summary, responses: { ...failures, ...Object.fromEntries(described) } })
}

function failure(description: string) {
  return {
    description,
    content: { 'application/json': { schema: resolver(schemas.errorSchema) } },
  }
}

function wrongMethod(c: Context, methods: string[]): Response {
  c.header('Allow', methods.join(', '))
  return errorJson(c, 405, 'method_not_allowed', `allowed here: ${methods.join(', ')}`)
}
