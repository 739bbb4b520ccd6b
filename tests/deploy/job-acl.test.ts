/**
 * deploy/redis/job.acl: a user for each job, by which the job's whole pipeline runs, and to which another
 * job's keys are closed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Redis } from 'ioredis'
import { keysOf, shared } from '../../actors/keys.ts'
import { functionsOf, library } from '../../actors/redis.ts'
import { until } from '../../faults/until.ts'
import { silent } from '../../cli/progress.ts'
import type { Server } from '../../services/server.ts'
import { startRedis } from '../../services/services.ts'
import { withPipeline } from '../integration/pipeline.ts'
import { rejection } from '../support/rejection.ts'
import { testServices } from '../support/services.ts'

const root = resolve(import.meta.dir, '../..')
const template = readFileSync(join(root, 'deploy/redis/job.acl'), 'utf8').trim()
const password = 'canary-4711'

let dir: string
let server: Server
let admin: Redis
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-job-acl-'))
  server = await startRedis({ dir, detached: false }, silent)
  admin = new Redis({ port: server.port, protocol: 2 })
  for (const job of ['job-a', 'job-b']) await addUser(job)
  const load = Bun.spawn([process.execPath, 'status/jobs.ts', 'load'], {
    cwd: root,
    env: { ...process.env, REDIS_URL: `redis://127.0.0.1:${server.port}` },
    stdout: 'pipe',
  })
  expect(await new Response(load.stdout).text()).toContain(library)
})
afterAll(async () => {
  admin.disconnect()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** As docs/tenants.md says: the job's name in place of JOB, and a password. */
async function addUser(job: string): Promise<void> {
  const [, name, ...rules] = template.replaceAll('JOB', job).split(' ')
  await admin.call('ACL', 'SETUSER', name!, ...rules, `>${password}`)
}

const urlOf = (job: string) => `redis://millrace-${job}:${password}@127.0.0.1:${server.port}`

const connect = (job: string) =>
  new Redis(urlOf(job), { protocol: 2, maxRetriesPerRequest: 0, lazyConnect: true })

/** Who was refused what since the last look. */
async function refused(): Promise<string[]> {
  const log = (await admin.call('ACL', 'LOG')) as string[][]
  await admin.call('ACL', 'LOG', 'RESET')
  return log.map((entry) => {
    const of = (name: string) => entry[entry.indexOf(name) + 1]
    return `${of('username')}: ${of('reason')} ${of('object')} (${of('context')})`
  })
}

describe('the user of one job, at another job', () => {
  const [own, other] = [keysOf('job-a'), keysOf('job-b')]
  let redis: Redis
  beforeAll(async () => {
    redis = connect('job-a')
    await redis.connect()
    await admin.hset(other.control, 'max', '4')
  })
  afterAll(async () => {
    redis.disconnect()
    await refused()
  })

  test('may use its own keys, by commands and functions', async () => {
    await redis.hset(own.control, 'max', '4')
    expect(await redis.hget(own.control, 'max')).toBe('4')
    const { call } = functionsOf(redis)
    expect(await call('lead', own.base, ['leader', 's1', 1_000])).toBe('s1')
    await redis.hset(shared.register, 'job-a', '{}')
  })

  test.each([
    ['reads nothing', (keys: typeof other) => redis.hget(keys.control, 'max')],
    ['writes nothing', (keys: typeof other) => redis.hset(keys.control, 'max', '9')],
    ['reads no stream', (keys: typeof other) => redis.xrange(keys.entries, '-', '+')],
    ['removes nothing', (keys: typeof other) => redis.unlink(keys.control)],
    ['renames nothing to itself', (keys: typeof other) => redis.rename(keys.control, own.control)],
    ['copies nothing', (keys: typeof other) => redis.copy(keys.control, own.control)],
    ['measures nothing', (keys: typeof other) => functionsOf(redis).call('measure', keys.base, [])],
    [
      'leads nothing',
      (keys: typeof other) => functionsOf(redis).call('lead', keys.base, ['leader', 'x', 9]),
    ],
  ])('%s', async (_, attempt) => {
    const before = await admin.hgetall(other.control)
    expect((await rejection(attempt(other))).message).toMatch(/NOPERM|No permissions|ACL failure/i)
    expect(await admin.hgetall(other.control)).toEqual(before)
  })

  test('what it names to a function lies behind its own prefix, whatever it is', async () => {
    await redis.call('FCALL', `${library}_lead`, 1, own.base, `x}:${other.leader}`, 'x', 9_000)
    expect(await admin.exists(other.leader)).toBe(0)
  })

  test.each([
    [
      'change functions that others run',
      ['FUNCTION', 'LOAD', 'REPLACE', `#!lua name=${library}\n`],
    ],
    ['take functions away', ['FUNCTION', 'FLUSH']],
    ['see other jobs’ names', ['KEYS', '*']],
    ['see them bit by bit', ['SCAN', '0']],
    ['read Redis’s settings, where a password may stand', ['CONFIG', 'GET', '*']],
    ['run scripts', ['EVAL', 'return 1', '0']],
    ['empty Redis', ['FLUSHALL']],
    ['end it', ['SHUTDOWN']],
    ['listen to others', ['MONITOR']],
    ['change users', ['ACL', 'SETUSER', 'x']],
  ])('does not %s', async (_, [command, ...args]) => {
    expect((await rejection(redis.call(command!, ...args))).message).toContain('NOPERM')
  })
})

test('a whole pipeline of the job’s user runs, and is refused nothing but Redis’s own settings', async () => {
  const { kafkaBrokers } = await testServices()
  const addressesOf = (redisUrl: string) => ({
    kafkaBrokers,
    redisUrl,
    environment: { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl },
  })
  // A job's name is known when its topic is made: the user is added with it.
  const label = 'job-acl'
  const names = { job: `${label}-${process.pid}`, topic: `${label}-${process.pid}` }
  await addUser(names.job)
  const options = {
    label,
    names,
    job: 'students.ts',
    topic: { partitions: 2 },
    services: addressesOf(urlOf(names.job)),
    direct: addressesOf(`redis://127.0.0.1:${server.port}`),
    args: [
      '--from',
      'earliest',
      '--quota-memory-mib',
      '100',
      '--quota-records-per-second',
      '100000',
    ],
    environment: { MILLRACE_EXECUTORS_TOTAL: '2' },
  }
  await withPipeline(options, async (pipeline) => {
    await refused()
    await pipeline.begin()
    const args = ['--topic', pipeline.topic.name, '--count', '3000', '--rate', '20000']
    expect(await pipeline.spawn(['actors/producer/main.ts', ...args]).exited).toBe(0)
    const { totals } = await pipeline.drained()
    expect(totals.counted).toBe(3_000)
    await pipeline.post('/api/executors', { min: 1, max: 2 })
    await pipeline.post('/api/quotas', { recordsPerSecond: 0 })
    await pipeline.windows()
    await pipeline.rejects()
    const { jobs } = await pipeline.get<{ jobs: { job: string }[] }>('/api/jobs')
    expect(jobs.map(({ job }) => job)).toContain(pipeline.name)
    await until('its share', async () => (await admin.hkeys(shared.pool)).includes(pipeline.name))
    expect(await pipeline.status()).toMatchObject({ state: 'running', reason: null })
    await pipeline.stop()
    const settings = /: command (config\|get|bgrewriteaof) /
    expect((await refused()).filter((line) => !settings.test(line))).toEqual([])
  })
}, 120_000)
