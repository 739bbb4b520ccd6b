import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { systemClock } from '../../actors/clock.ts'
import { readConfig } from '../../actors/config.ts'
import { measure } from '../../actors/measure.ts'
import { openStore } from '../../actors/redis.ts'
import { freePort } from '../../services/ports.ts'
import { recordDecision, recordEffect } from '../../supervisor/decisions.ts'
import { Loop } from '../../supervisor/loop.ts'
import * as schemas from '../../web/schemas.ts'
import { windowsSchema } from '../../web/window-schemas.ts'
import { until } from '../../faults/until.ts'
import { silentLog } from './seed.ts'
import { openWeb, post, type Web } from './setup.ts'

const T = 1_700_000_000_000
const record = (offsetMs: number, who: string, state = 'on', loc = 1) => ({
  at: T + offsetMs,
  group: [who, state],
  fields: { loc },
})

let web: Web
beforeEach(async () => {
  web = await openWeb('web')
})
afterEach(() => web.end())

const lead = () => web.seeded.store.call('lead', web.seeded.keys.base, ['leader', 's1', 60_000])
const seen = (high: number) => web.seeded.store.call('seen', web.seeded.keys.base, [0, high])

describe('answers have the form of their schemas', () => {
  beforeEach(async () => {
    const { seeded } = web
    await seeded.records([record(0, 'a'), record(5_000, 'b')])
    await seeded.waiting(7)
    await seeded.actor({ id: 'e1', kind: 'executor', busy: 0.5, records: 2 })
    const decision = {
      at: T,
      from: 0,
      to: 1,
      reason: 'wake' as const,
      sentence: '7 records wait and nothing runs: one executor',
      inputs: { waiting: 7, lag: null },
    }
    const id = await recordDecision(seeded.store, seeded.keys, decision)
    await recordEffect(seeded.store, seeded.keys, { id, direction: 'out', ms: 310 })
    await tellLoop(decision)
    await seeded.store.redis.xadd(
      seeded.keys.rejects,
      '*',
      ...Object.entries({
        topic: 'records',
        p: 0,
        o: 5,
        reason: 'json',
        message: 'bad',
        value: '{',
      }).flat(),
    )
  })

  test.each([
    ['/healthz', schemas.healthSchema],
    ['/api/status', schemas.statusSchema],
    ['/api/executors', schemas.executorsSchema],
    ['/api/windows', windowsSchema],
    ['/api/decisions', schemas.decisionsSchema],
    ['/api/cost', schemas.costSchema],
    ['/api/loop', schemas.loopSchema],
    ['/api/sinks', schemas.sinksSchema],
    ['/api/rejects', schemas.rejectsSchema],
  ])('%s', async (path, schema) => {
    const { status, body } = await web.json(path)
    expect(status).toBe(200)
    // Strict: what the schema does not name must not be in the answer either.
    expect(v.parse(schema as v.GenericSchema, body)).toEqual(body)
  })

  test('with the numbers that are in Redis', async () => {
    const status = v.parse(schemas.statusSchema, (await web.json('/api/status')).body)
    expect(status.backlog).toMatchObject({ records: 7, entries: 1, pending: 0, undelivered: 1 })
    expect(status.totals).toMatchObject({ appended: 9, committed: 2, counted: 2, unaccounted: 0 })
    expect(status.lastDecision).toMatchObject({ from: 0, to: 1, reason: 'wake' })
    const { executors } = v.parse(schemas.executorsSchema, (await web.json('/api/executors')).body)
    expect(executors).toMatchObject([{ id: 'e1', state: 'running', busy: 0.5, records: 2 }])
    const { rejects } = v.parse(schemas.rejectsSchema, (await web.json('/api/rejects')).body)
    expect(rejects).toMatchObject([{ partition: 0, offset: '5', reason: 'json', value: '{' }])
    expect((await web.json('/api/rejects?reason=late')).body).toEqual({ rejects: [] })
  })

  test('a decision comes with its sentence, its inputs and its effect', async () => {
    const { decisions } = v.parse(schemas.decisionsSchema, (await web.json('/api/decisions')).body)
    const told = {
      sentence: '7 records wait and nothing runs: one executor',
      inputs: { waiting: 7, lag: null },
      effectMs: 310,
    }
    expect(decisions).toMatchObject([told])
    const status = v.parse(schemas.statusSchema, (await web.json('/api/status')).body)
    expect(status.lastDecision).toMatchObject(told)
  })

  test('the loop: how often, how late, how old, and why it holds', async () => {
    const { loop } = v.parse(schemas.loopSchema, (await web.json('/api/loop')).body)
    expect(loop).toMatchObject({
      supervisor: 's1',
      looks: 1,
      measurementsFailed: 1,
      decision: { at: new Date(T).toISOString(), sentence: expect.any(String) },
    })
    expect(loop?.measurementAgeSeconds.count).toBe(1)
    expect(loop?.measurementAgeSeconds.buckets.at(-1)).toEqual({ le: 60, count: 1 })
    expect(loop?.latenessSeconds).toMatchObject({ count: 0, last: null, max: null })
  })
})

/** A supervisor that has taken one look. */
async function tellLoop(decision: Parameters<Loop['decided']>[0]) {
  const { store, keys } = web.seeded
  const loop = new Loop('s1', store, keys, systemClock)
  loop.begins()
  loop.measured(false)
  loop.decided(decision, true)
  await loop.ends(await measure(store, keys), [])
}

describe('GET /api/windows', () => {
  beforeEach(async () => {
    await web.seeded.records([record(0, 'a', 'on', 2.5), record(0, 'b', 'off'), record(9_000, 'a')])
    await web.seeded.closeTo(T + 10_000)
  })
  const starts = async (query: string) => {
    const { status, body } = await web.json(`/api/windows?${query}`)
    expect(status).toBe(200)
    const { windows } = v.parse(windowsSchema, body)
    return windows.map(({ start, state, key }) => [Date.parse(start) - T, state, key.who])
  }

  test('gives open and closed rows, newest first', async () => {
    expect(await starts('')).toEqual([
      [5_000, 'open', 'a'],
      [0, 'closed', 'a'],
      [0, 'closed', 'b'],
      [-5_000, 'closed', 'a'],
      [-5_000, 'closed', 'b'],
    ])
    expect(await starts('state=open')).toEqual([[5_000, 'open', 'a']])
    expect(await starts('state=closed')).toHaveLength(4)
  })

  test('is bounded by start: ISO, epoch milliseconds, a date', async () => {
    const iso = new Date(T).toISOString()
    expect(await starts(`from=${iso}`)).toHaveLength(3)
    expect(await starts(`from=${T}&to=${T + 5_000}`)).toHaveLength(2)
    expect(await starts(`to=${T}`)).toHaveLength(2)
    expect(await starts('from=2023-11-15')).toHaveLength(0)
  })

  test('is filtered by group, where a name is ours with key. in front', async () => {
    expect(await starts('who=b')).toEqual([
      [0, 'closed', 'b'],
      [-5_000, 'closed', 'b'],
    ])
    expect(await starts('key.state=off&state=closed')).toHaveLength(2)
    expect(await starts('who=nobody')).toEqual([])
  })

  test('goes on by cursor over both states', async () => {
    const all = await starts('')
    const paged: unknown[] = []
    let cursor = ''
    for (let page = 0; page < 5; page++) {
      const { body } = await web.json(`/api/windows?limit=1${cursor}`)
      const { windows, next } = v.parse(windowsSchema, body)
      paged.push(...windows.map(({ start, state, key }) => [Date.parse(start) - T, state, key.who]))
      expect(next === undefined).toBe(page === 4)
      cursor = `&cursor=${next}`
    }
    expect(paged).toEqual(all)
  })

  test.each([
    'state=half',
    'from=yesterday',
    'from=2023-11-15T00:00:00',
    'to=2023-99-15',
    `from=${T}&to=${T - 1}`,
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=ten',
    'limit=1e3',
    'limit=1&limit=2',
    'cursor=nonsense',
    'cursor=W10',
    'color=red',
    '__proto__=x',
  ])('refuses %s', async (query) => {
    const { status, body } = await web.json(`/api/windows?${query}`)
    expect(status).toBe(400)
    expect(body).toEqual({ error: { code: 'bad_request', message: expect.any(String) } })
  })

  test('names the fields that are allowed', async () => {
    const { body } = await web.json('/api/windows?color=red')
    expect(body.error?.message).toContain('"color"')
    expect(body.error?.message).toContain('who')
  })
})

describe('GET /readyz', () => {
  test('is 200 when Kafka, Redis and a leader answer', async () => {
    await lead()
    expect(await web.json('/readyz')).toEqual({ status: 200, body: { ready: true, missing: [] } })
  })

  test('names a missing leader', async () => {
    const { status, body } = await web.json('/readyz')
    expect(status).toBe(503)
    expect(body).toMatchObject({ ready: false, missing: ['leader'], error: { code: 'not_ready' } })
  })

  test('names Kafka when neither the bridge nor we hear it', async () => {
    const deaf = await openWeb('deaf', { kafkaAnswers: () => Promise.resolve(false) })
    const { store, keys } = deaf.seeded
    await store.call('lead', keys.base, ['leader', 's1', 60_000])
    expect((await deaf.json('/readyz')).status).toBe(200)
    // The bridge's last news is from long ago.
    await store.redis.hset(keys.ledger, '0:seenAt', systemClock.now() - 60_000)
    await systemClock.sleep(250)
    expect((await deaf.json('/readyz')).body).toMatchObject({ missing: ['kafka'] })
    await deaf.end()
  })
})

const control = () => web.seeded.store.redis.hgetall(web.seeded.keys.control)

describe('control', () => {
  test('writes what the supervisor goes by, and wakes it', async () => {
    expect(await web.json('/api/executors', post({ min: 1, max: 3 }))).toEqual({
      status: 200,
      body: { min: 1, max: 3 },
    })
    expect(await web.json('/api/pause', post({}))).toEqual({ status: 200, body: { paused: true } })
    expect(await control()).toEqual({ min: '1', max: '3', paused: '1' })
    expect((await web.json('/api/resume', { method: 'POST' })).body).toEqual({ paused: false })
    expect(await control()).toEqual({ min: '1', max: '3', paused: '0' })
    const { store, keys } = web.seeded
    const woken = await store.redis.xrevrange(keys.mailbox('supervisor'), '+', '-', 'COUNT', 1)
    expect(woken[0]?.[1]).toEqual(['m', '{"kind":"wake"}'])
  })

  test.each([
    { min: 3, max: 1 },
    { min: -1, max: 4 },
    { min: 0, max: 65 },
    { min: 0.5, max: 4 },
    { min: '0', max: 4 },
    { min: 0 },
    { min: 0, max: 4, paused: true },
    '[]',
    'null',
    '{"min":',
    '',
  ])('refuses %j', async (body) => {
    const answer = await web.json('/api/executors', post(body))
    expect(answer.status).toBe(400)
    expect(answer.body.error?.code).toBe('bad_request')
    expect(await control()).toEqual({})
  })
})

describe('what is not there', () => {
  test('is 404 and 405 in the form of all errors', async () => {
    expect(await web.json('/api/nothing')).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found' } },
    })
    const wrong = await web.ask('/api/status', { method: 'DELETE' })
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toContain('GET')
    expect(await wrong.json()).toMatchObject({ error: { code: 'method_not_allowed' } })
    expect((await web.ask('/../package.json')).status).toBe(404)
    expect((await web.ask('/page/index.html')).status).toBe(404)
  })

  test('a bug is 500, and says nothing of itself', async () => {
    const { store, keys } = web.seeded
    await store.redis.set(keys.rejects, 'not a stream')
    const { status, body } = await web.json('/api/rejects')
    expect(status).toBe(500)
    expect(body.error?.code).toBe('internal')
    expect(JSON.stringify(body)).not.toContain('WRONGTYPE')
  })
})

describe('while Redis is away', () => {
  let away: Web
  beforeEach(async () => {
    const config = readConfig({ REDIS_URL: `redis://127.0.0.1:${await freePort()}` })
    away = await openWeb('away', { store: openStore(config, silentLog) })
  })
  afterEach(() => away.end())

  test.each(['status', 'executors', 'windows', 'decisions', 'cost', 'loop', 'rejects'])(
    '/api/%s is 503 at once',
    async (name) => {
      const began = systemClock.elapsed()
      const { status, body } = await away.json(`/api/${name}`)
      expect(status).toBe(503)
      expect(body.error?.code).toBe('redis_unavailable')
      expect(systemClock.elapsed() - began).toBeLessThan(1_000)
    },
  )

  test('control is 503, readyz names redis, the process lives, metrics say it', async () => {
    expect((await away.json('/api/pause', post({}))).status).toBe(503)
    expect(await away.json('/readyz')).toMatchObject({ status: 503, body: { missing: ['redis'] } })
    expect((await away.ask('/healthz')).status).toBe(200)
    expect((await away.ask('/')).status).toBe(200)
    expect(await (await away.ask('/metrics')).text()).toContain('millrace_redis_up 0')
  })
})

describe('documents', () => {
  test('/openapi.json is 3.1 and holds every path', async () => {
    const { status, body } = await web.json('/openapi.json')
    expect(status).toBe(200)
    expect(body.openapi).toBe('3.1.0')
    const paths = body.paths as Record<string, Record<string, { parameters?: { name: string }[] }>>
    const wanted = 'status executors windows decisions cost loop rejects events pause resume'
    const all = [...wanted.split(' ').map((name) => `/api/${name}`), '/healthz', '/readyz']
    expect(Object.keys(paths)).toEqual(expect.arrayContaining([...all, '/metrics']))
    const names = paths['/api/windows']!.get!.parameters!.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['state', 'from', 'to', 'limit', 'cursor', 'who']))
    expect(paths['/api/executors']).toHaveProperty('post.requestBody')
  })

  test('/metrics has help, type and names for what is known, and leaves out what is not', async () => {
    await web.seeded.records([record(0, 'a'), record(0, 'b')])
    await seen(12)
    const response = await web.ask('/metrics')
    expect(response.headers.get('content-type')).toContain('text/plain')
    const text = await response.text()
    expect(text).toContain('# TYPE millrace_records_committed_total counter')
    expect(text).toContain('millrace_records_committed_total{outcome="counted"} 2')
    expect(text).toContain('millrace_kafka_lag_records 10')
    expect(text).not.toContain('millrace_executors_max')
    const families = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    for (const [, name, type] of families) {
      expect(text).toContain(`# HELP ${name} `)
      expect(name!.endsWith('_total')).toBe(type === 'counter')
    }
  })

  test('/metrics has the loop: counters and histograms that add up', async () => {
    expect(await (await web.ask('/metrics')).text()).not.toContain('millrace_supervisor_')
    const inputs = {}
    await tellLoop({ at: T, from: 1, to: 1, reason: 'hold', sentence: 'enough', inputs })
    // Answers are kept for a quarter of a second.
    const text = await until('the loop', async () => {
      const now = await (await web.ask('/metrics')).text()
      return now.includes('millrace_supervisor_') ? now : null
    })
    expect(text).toContain('\nmillrace_supervisor_looks_total 1\n')
    expect(text).toContain('\nmillrace_supervisor_measurements_failed_total 1\n')
    expect(text).toContain('# TYPE millrace_supervisor_measurement_age_seconds histogram')
    const labels = '{direction="out"}'
    expect(text).toContain(`\nmillrace_supervisor_decision_effect_seconds_count${labels} 0\n`)
    const name = 'millrace_supervisor_measurement_age_seconds'
    const buckets = [...text.matchAll(new RegExp(`^${name}_bucket{le="(\\S+)"} (\\d+)$`, 'gm'))]
    const counts = buckets.map(([, , count]) => Number(count))
    expect(counts).toEqual(counts.toSorted((a, b) => a - b))
    expect(buckets.at(-1)?.slice(1)).toEqual(['+Inf', '1'])
    expect(text).toContain(`\n${name}_count 1\n`)
  })
})
