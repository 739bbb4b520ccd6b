/**
 * The process of the sinks killed again and again, at moments that chance picks, while windows close; and
 * two processes at once. Afterwards each sink has exactly the rows of the closed stream.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SQL, type Subprocess } from 'bun'
import { seededRandom, systemClock } from '../../../actors/clock.ts'
import { readSinks } from '../../../actors/sinks/accounts.ts'
import { files } from '../../../actors/sinks/files.ts'
import { kafka } from '../../../actors/sinks/kafka.ts'
import { postgres } from '../../../actors/sinks/postgres.ts'
import { redisStream } from '../../../actors/sinks/redis.ts'
import type { Sink } from '../../../actors/sinks/sink.ts'
import { webhook } from '../../../actors/sinks/webhook.ts'
import { createTopic } from '../../../faults/topic.ts'
import { until } from '../../../faults/until.ts'
import { postgresPrograms, startPostgres } from '../../support/postgres.ts'
import { testRedisUrl } from '../../support/redis.ts'
import { testServices } from '../../support/services.ts'
import { filesIn, parquetIn, rowsIn, streamIn, tableIn, topicIn } from './found.ts'
import { openClosed, type Place } from './place.ts'

const main = join(import.meta.dir, '../../../actors/sinks/main.ts')
const jobFile = join(import.meta.dir, '../../fixtures/jobs/sinks.ts')

/** Windows that wait for a sink at the most while it is killed. */
const BEHIND_MAX = 40

let it: Place
let directory: string
const children = new Set<Subprocess>()
beforeEach(async () => {
  it = await openClosed('kills')
  directory = mkdtempSync(join(tmpdir(), 'millrace-kills-'))
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all([...children].map(({ exited }) => exited))
  children.clear()
  await it.end()
  rmSync(directory, { recursive: true, force: true })
})

function start(sinks: string, environment: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, main, jobFile], {
    env: {
      ...process.env,
      REDIS_URL: testRedisUrl,
      LOG_LEVEL: 'error',
      TEST_SINKS: sinks,
      TEST_JOB: it.job.name,
      TEST_SESSIONS: it.job.gapMs === null ? 'no' : 'yes',
      TEST_DIRECTORY: directory,
      ...environment,
    },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'inherit',
  })
  children.add(child)
  return child
}

const windowsOf = async (sink: Sink) =>
  (await readSinks(it.store, it.keys, { sinks: [sink] }, systemClock.now()))[0]!

const wholeOf = (sinks: readonly Sink[]) => Promise.all(sinks.map(windowsOf))

/** Kills what runs while windows close, `times` times; then lets one catch up, and ends it in order. */
async function play(
  of: Sink | Sink[],
  environment: Record<string, string> = {},
  times = 8,
  seed = 1,
) {
  const sinks = [of].flat()
  const names = sinks.map(({ name }) => name)
  const leases = names.map((name) => `${it.keys.base}:sink:${name}`)
  const random = seededRandom(seed)
  let closing = true
  const windows = (async () => {
    while (closing) {
      // On a busy machine more would close than a sink could ever take.
      const behind = Math.max(...(await wholeOf(sinks)).map(({ lagWindows }) => lagWindows ?? 0))
      if (behind < BEHIND_MAX) await it.close(1, 1 + Math.floor(random() * 300))
      await systemClock.sleep(random() * 15)
    }
  })()
  try {
    for (let kill = 0; kill < times; kill++) {
      // Its lease would have the next one wait; that is another test's.
      await it.store.redis.del(leases)
      const child = start(names.join(), environment)
      const before = (await wholeOf(sinks)).map(({ at }) => at)
      await until('it to take windows', async () =>
        (await wholeOf(sinks)).every(({ at }, i) => at !== before[i]),
      )
      await systemClock.sleep(random() * 60)
      child.kill('SIGKILL')
      await child.exited
    }
  } finally {
    closing = false
    await windows
  }
  await it.store.redis.del(leases)
  const last = start(names.join(), environment)
  await until('it to catch up', async () =>
    (await wholeOf(sinks)).every(({ lagWindows }) => lagWindows === 0),
  )
  last.kill('SIGTERM')
  expect(await last.exited).toBe(0)
  for (const { lost, skipped } of await wholeOf(sinks)) {
    expect({ lost, skipped }).toEqual({ lost: 0, skipped: 0 })
  }
}

/**
 * Two processes at once: whoever writes is stopped in the middle of it, the other one takes over and
 * catches up, and then the first goes on with what it was about to do.
 */
async function contend(sink: Sink, environment: Record<string, string> = {}, rounds = 2) {
  const lease = `${it.keys.base}:sink:${sink.name}`
  const random = seededRandom(2)
  const both = [start(sink.name, environment), start(sink.name, environment)]
  for (let round = 0; round < rounds; round++) {
    const holder = await until('one to have the lease', () => it.store.redis.get(lease))
    const account = JSON.parse((await it.store.redis.hget(it.keys.actors, holder)) ?? '') as {
      pid: number
    }
    let closing = true
    const windows = (async () => {
      while (closing) await it.close(1, 1 + Math.floor(random() * 1_200))
    })()
    await systemClock.sleep(300 + random() * 100)
    process.kill(account.pid, 'SIGSTOP')
    closing = false
    await windows
    await it.close(3)
    await it.store.redis.del(lease)
    await until('the other to catch up', async () => (await windowsOf(sink)).lagWindows === 0, {
      timeoutMs: 30_000,
    })
    expect(await it.store.redis.get(lease)).not.toBe(holder)
    process.kill(account.pid, 'SIGCONT')
  }
  await it.close(1)
  await until('it to catch up', async () => (await windowsOf(sink)).lagWindows === 0)
  for (const child of both) child.kill('SIGTERM')
  expect(await Promise.all(both.map(({ exited }) => exited))).toEqual([0, 0])
}

test('files: each window once', async () => {
  await play(files({ directory }))
  const expected = await it.expected()
  expect(expected.size).toBeGreaterThan(8)
  expect(filesIn(directory)).toEqual(expected)
  await contend(files({ directory }))
  expect(filesIn(directory)).toEqual(await it.expected())
})

test('files of Parquet: each window once', async () => {
  const sink = files({ name: 'parquet', directory, format: 'parquet' })
  await play(sink)
  const expected = await it.expected()
  expect(expected.size).toBeGreaterThan(8)
  expect(await parquetIn(directory)).toEqual(expected)
  await contend(sink)
  expect(await parquetIn(directory)).toEqual(await it.expected())
})

test.skipIf(!postgresPrograms)('PostgreSQL: each row once', async () => {
  const server = await startPostgres()
  const sql = new SQL({ url: server.url, max: 1 })
  try {
    const environment = { TEST_WAREHOUSE: server.url }
    const sink = postgres({ urlFrom: 'TEST_WAREHOUSE', table: 'windows' })
    await play(sink, environment)
    const expected = await it.expected()
    expect(expected.size).toBeGreaterThan(8)
    expect(await tableIn(sql)).toEqual(expected)
    await contend(sink, environment)
    expect(await tableIn(sql)).toEqual(await it.expected())
  } finally {
    await sql.close({ timeout: 0 })
    await server.end()
  }
})

test('Redis: each row once', async () => {
  const key = `${it.job.name}-out`
  const sink = redisStream({ urlFrom: 'REDIS_URL', key })
  try {
    await play(sink)
    expect(await streamIn(it.store, key)).toEqual(await it.expected())
    await contend(sink)
    expect(await streamIn(it.store, key)).toEqual(await it.expected())
  } finally {
    await it.store.redis.del(key, `{${key}}:position`)
  }
})

test('Kafka: each row once, for who reads what is committed', async () => {
  const { environment, kafkaBrokers } = await testServices()
  const topic = `${it.job.name}-out`
  const output = await createTopic(topic, { kafkaBrokers, name: topic, partitions: 2 })
  try {
    await play(kafka({ topic }), { ...environment }, 5)
    expect(await topicIn(output.kafka, topic)).toEqual(await it.expected())
    await contend(kafka({ topic }), { ...environment })
    expect(await topicIn(output.kafka, topic)).toEqual(await it.expected())
  } finally {
    await output.delete()
  }
})

/** A receiver that tells by the key what it has already; rows of all bodies, each once. */
function receiver() {
  const taken = new Map<string, string>()
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const text = await request.text()
      const key = request.headers.get('Idempotency-Key') ?? ''
      if ((taken.get(key) ?? text) !== text) return new Response('another body', { status: 400 })
      taken.set(key, text)
      return new Response(null, { status: 204 })
    },
  })
  return {
    sink: webhook({ urlFrom: 'TEST_HOOK', secretFrom: 'TEST_SECRET' }),
    environment: {
      TEST_HOOK: `http://127.0.0.1:${server.port}/`,
      TEST_SECRET: 'a-secret-for-tests',
    },
    rows() {
      const rows = [...taken.values()].flatMap(
        (text) => (JSON.parse(text) as { rows: unknown[] }).rows,
      )
      return rowsIn(rows.map((row) => JSON.stringify(row)))
    },
    end: () => server.stop(true),
  }
}

test('webhook: each row at least once, and once by the key', async () => {
  const hook = receiver()
  try {
    await play(hook.sink, hook.environment)
    expect(hook.rows()).toEqual(await it.expected())
  } finally {
    await hook.end()
  }
})

test.skipIf(!postgresPrograms)(
  'sessions: each once, in all sinks of a process at once',
  async () => {
    await it.end()
    it = await openClosed('kills-sessions', { sessions: true })
    const [{ environment, kafkaBrokers }, server, hook] = [
      await testServices(),
      await startPostgres(),
      receiver(),
    ]
    const sql = new SQL({ url: server.url, max: 1 })
    const topic = `${it.job.name}-out`
    const output = await createTopic(topic, { kafkaBrokers, name: topic, partitions: 2 })
    try {
      const sinks = [
        files({ directory }),
        postgres({ urlFrom: 'TEST_WAREHOUSE', table: 'windows' }),
        redisStream({ urlFrom: 'REDIS_URL', key: topic }),
        kafka({ topic }),
        hook.sink,
      ]
      await play(sinks, { ...environment, ...hook.environment, TEST_WAREHOUSE: server.url }, 3)
      const expected = await it.expected()
      expect(expected.size).toBeGreaterThan(16)
      expect(filesIn(directory)).toEqual(expected)
      expect(await tableIn(sql)).toEqual(expected)
      expect(await streamIn(it.store, topic)).toEqual(expected)
      expect(await topicIn(output.kafka, topic)).toEqual(expected)
      expect(hook.rows()).toEqual(expected)
    } finally {
      await it.store.redis.del(topic, `{${topic}}:position`)
      await output.delete()
      await sql.close({ timeout: 0 })
      await server.end()
      await hook.end()
    }
  },
)

test('what a sink lacks in the environment is said in one line', async () => {
  const child = Bun.spawn([process.execPath, main, jobFile], {
    env: { ...process.env, TEST_SINKS: 'postgres', TEST_WAREHOUSE: '' },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  expect(await child.exited).toBe(2)
  expect(await new Response(child.stderr).text()).toBe(
    'sinks: sink postgres: the environment must have TEST_WAREHOUSE, postgres://user:password@host:port/database\n',
  )
})
