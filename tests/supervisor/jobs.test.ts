/** All jobs of a Redis at a look: what each does, and what looking costs. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { keysOf, shared } from '../../actors/keys.ts'
import type { Store } from '../../actors/redis.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { Registration, removeEntry } from '../../supervisor/entries.ts'
import { createJobsReader, JOBS_MOST } from '../../supervisor/jobs.ts'
import { type Seeded, seed } from '../web/seed.ts'
import { jobNamed } from '../web/setup.ts'

const limits = { min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 }

describe('jobs that are measured', () => {
  let seeded: Seeded
  const other = uniqueName('jobs-other')
  const strange = uniqueName('jobs-strange')
  const time = { ms: 0 }
  const clock = { ...systemClock, elapsed: () => time.ms }

  beforeAll(async () => {
    seeded = await seed(jobNamed(uniqueName('jobs')))
    const { store, keys, job } = seeded
    for (const name of [job.name, other, strange]) {
      const about = { job: name, topics: ['records'], host: 'h1', page: 'http://h1:8080/' }
      await new Registration(store, systemClock, about).refresh(limits)
    }
    await store.call('lead', keys.base, ['leader', 's1', 60_000])
    await store.redis.hset(keys.control, { min: '1', max: '3', maxResultDelayMs: '500' })
    await seeded.actor({ id: 'e1', kind: 'executor', busy: 0.5 })
    await seeded.waiting(7)
    await store.redis.set(keysOf(strange).totals, 'no hash')
  })
  afterAll(async () => {
    const { store, job } = seeded
    for (const name of [job.name, other, strange]) await removeEntry(store, name)
    await store.redis.del(keysOf(strange).totals)
    await seeded.end()
  })

  test('each with its state, what waits, executors, limits and page; one that stopped too', async () => {
    const { jobs } = await createJobsReader(seeded.store, clock)()
    const of = (name: string) => jobs.find(({ job }) => job === name)
    expect(of(seeded.job.name)).toMatchObject({
      state: 'running',
      page: 'http://h1:8080/',
      executors: { count: 1, min: 1, max: 3 },
      maxResultDelayMs: 500,
      backlog: { records: 7, kafkaLag: 0 },
      rates: { inPerSecond: null, outPerSecond: null },
    })
    expect(of(other)).toMatchObject({
      state: 'stopped',
      reason: 'no supervisor leads',
      executors: { count: 0, min: 0, max: 4 },
    })
  })

  test('one that can not be measured is unknown and hides no other', async () => {
    const { jobs } = await createJobsReader(seeded.store, clock)()
    const one = jobs.find(({ job }) => job === strange)
    expect(one).toMatchObject({ state: 'unknown', executors: { count: null } })
    expect(one?.reason).toContain('WRONGTYPE')
    expect(jobs.find(({ job }) => job === seeded.job.name)?.state).toBe('running')
  })

  test('rates come with the second look', async () => {
    const look = createJobsReader(seeded.store, clock, 0)
    const rateNow = async () => {
      const { jobs } = await look()
      return jobs.find(({ job }) => job === seeded.job.name)?.rates.inPerSecond ?? null
    }
    expect(await rateNow()).toBeNull()
    await seeded.waiting(5)
    await until('a rate', async () => ((await rateNow()) ?? 0) > 0)
  })
})

describe('looking', () => {
  /** A Redis with so many jobs, that counts what it is asked. */
  function counting(jobs: number) {
    const asked = { register: 0, measured: new Set<string>() }
    const entry = (i: number) =>
      JSON.stringify({ topics: ['t'], since: 1, at: 1_000 + i, host: 'h', page: null, limits })
    const held = Object.fromEntries(Array.from({ length: jobs }, (_, i) => [`job-${i}`, entry(i)]))
    const store = {
      redis: {
        hgetall: (key: string) => {
          expect(key).toBe(shared.register)
          asked.register++
          return Promise.resolve(held)
        },
        // Of no job it is written how many shards it has.
        get: () => Promise.resolve(null),
      },
      call: (_: string, base: string) => {
        asked.measured.add(base)
        return Promise.reject(new Error('NOPERM no permission'))
      },
    } as unknown as Store
    return { store, asked }
  }

  test('however many look, Redis is asked once in two seconds', async () => {
    const { store, asked } = counting(3)
    const time = { ms: 0 }
    const look = createJobsReader(store, { ...systemClock, elapsed: () => time.ms })
    await Promise.all(Array.from({ length: 50 }, look))
    time.ms = 1_999
    await look()
    expect(asked.register).toBe(1)
    time.ms = 2_000
    await look()
    expect(asked.register).toBe(2)
  })

  test('no more jobs are measured than may be: those that were heard of last', async () => {
    const { store, asked } = counting(JOBS_MOST + 50)
    const { jobs, more } = await createJobsReader(store, systemClock)()
    expect(jobs).toHaveLength(JOBS_MOST)
    expect(more).toBe(50)
    expect(asked.measured.size).toBe(JOBS_MOST)
    expect(jobs.some(({ job }) => job === 'job-49')).toBe(false)
    expect(jobs.some(({ job }) => job === 'job-50')).toBe(true)
  })
})
