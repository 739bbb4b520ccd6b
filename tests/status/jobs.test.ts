/** `bun run jobs` as a person runs it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { systemClock } from '../../actors/clock.ts'
import { uniqueName } from '../../faults/names.ts'
import { freePort } from '../../services/ports.ts'
import { jobsText } from '../../status/jobs-text.ts'
import { Registration, removeEntry } from '../../supervisor/entries.ts'
import type { JobReport } from '../../supervisor/jobs.ts'
import { jobsSchema } from '../../web/schemas.ts'
import { testRedisUrl } from '../support/redis.ts'
import { type Seeded, seed } from '../web/seed.ts'
import { jobNamed } from '../web/setup.ts'
import { runCommand } from '../support/command.ts'

const limits = { min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 }

let seeded: Seeded
const stopped = uniqueName('jobs-stopped')
beforeAll(async () => {
  seeded = await seed(jobNamed(uniqueName('jobs')))
  const { store, keys, job } = seeded
  for (const name of [job.name, stopped]) {
    const about = { job: name, topics: ['records'], host: 'h1', page: 'http://h1:8080/' }
    await new Registration(store, systemClock, about).refresh(limits)
  }
  await store.call('lead', keys.base, ['leader', 's1', 60_000])
  await seeded.waiting(1_234)
})
afterAll(async () => {
  for (const name of [seeded.job.name, stopped]) await removeEntry(seeded.store, name)
  await seeded.end()
})

const jobs = (args: string[], redis = testRedisUrl) =>
  runCommand(['status/jobs.ts', ...args], { ...process.env, REDIS_URL: redis })

test('lists them with what they do', async () => {
  const { out, err, code } = await jobs([])
  expect({ err, code }).toEqual({ err: '', code: 0 })
  const line = (name: string) => out.split('\n').find((text) => text.startsWith(`${name} `))
  expect(line(seeded.job.name)).toMatch(/running +0 +0 +1,234 +0 +0 of 0 to 4 .*http:\/\/h1:8080\//)
  expect(line(stopped)).toMatch(/ stopped /)
})

test('--json is what the API answers', async () => {
  const { out } = await jobs(['--json'])
  const report = v.parse(jobsSchema, JSON.parse(out))
  expect(report.jobs.map(({ job }) => job)).toContain(stopped)
})

test('forgets one that is stopped, and none that is at work', async () => {
  const atWork = await jobs(['forget', seeded.job.name])
  expect(atWork).toMatchObject({ out: '', code: 1 })
  expect(atWork.err).toContain('is at work')
  expect((await jobs(['forget', stopped])).code).toBe(0)
  const again = await jobs(['forget', stopped])
  expect(again.code).toBe(1)
  expect(again.err).toContain(`there is no job "${stopped}" on the list`)
})

test.each([
  [['forget'], 'forget NAME'],
  [['forget', 'A b'], '"A b"'],
  [['drop', 'x'], 'see --help'],
  [['--jsn'], '--jsn'],
])('%j is one line and code 2', async (args, named) => {
  const { err, code } = await jobs(args)
  expect(code).toBe(2)
  expect(err.trim().split('\n')).toHaveLength(1)
  expect(err).toContain(named)
})

test('a Redis that does not answer is one line and code 1', async () => {
  const { err, code } = await jobs([], `redis://127.0.0.1:${await freePort()}`)
  expect(code).toBe(1)
  expect(err.trim().split('\n')).toHaveLength(1)
  expect(err).toContain('does not answer')
})

describe('the text', () => {
  const one: JobReport = {
    job: 'rooms',
    topics: ['t'],
    state: 'degraded',
    reason: 'the bridge failed: \x1b[31mred',
    since: '2026-01-31T12:00:00.000Z',
    at: '2026-01-31T12:00:00.000Z',
    host: 'h',
    page: null,
    executors: { count: null, min: 0, max: 4 },
    maxResultDelayMs: 2_000,
    backlog: { records: null, kafkaLag: null },
    rates: { inPerSecond: null, outPerSecond: null },
    latencyMs: { p50: null, p99: 181 },
    watermark: null,
  }

  test('says why one is degraded, and writes nothing of it to the terminal', () => {
    const text = jobsText({ jobs: [one], more: 3 })
    expect(text).toContain('rooms: the bridge failed: ')
    expect(text).not.toContain('\x1b')
    expect(text).toContain('– of 0 to 4')
    expect(text).toContain('and 3 more jobs')
  })

  test('says what to do where there is none', () => {
    expect(jobsText({ jobs: [], more: 0 })).toContain('bun run supervisor')
  })
})
