import { afterEach, describe, expect, test } from 'bun:test'
import { uniqueName } from '../../faults/names.ts'
import { compareVersions, type Version } from '../../versions/compare.ts'
import { dropJob, heldJobs } from '../../versions/list.ts'
import { type Seeded, seed } from '../web/seed.ts'
import { sinkJob } from '../actors/sinks/place.ts'
import { jobNamed } from '../web/setup.ts'

const T = 1_700_000_000_000
const record = (seconds: number, who: string, loc = 1) => ({
  at: T + seconds * 1_000,
  group: [who, 'on'],
  fields: { loc },
})

const all: Seeded[] = []
afterEach(async () => {
  for (const one of all.splice(0)) await one.end()
})

async function version(records: ReturnType<typeof record>[], closedTo = 40): Promise<Seeded> {
  const seeded = await seed(jobNamed(uniqueName('version')))
  all.push(seeded)
  await seeded.records(records)
  await seeded.closeTo(T + closedTo * 1_000)
  return seeded
}

const versionOf = ({ job, keys }: Seeded): Version => ({ job, keys })
const compare = (one: Seeded, other: Seeded, most = 100) =>
  compareVersions(one.store, [versionOf(one), versionOf(other)], most)

/**
 *   seconds   -5    0    5   10   15   20   25
 *   records         a         b         a
 *   windows   [─────────)                         −5  the first: left out
 *                  [─────────)                     0  left out: it begins before the first one's end
 *                       [─────────)                5  compared, and so on up to 20
 */
const records = [record(0, 'a', 3), record(10, 'b', 5), record(20, 'a', 7)]

describe('two versions of a job', () => {
  test('agree where they had the same records', async () => {
    const result = await compare(await version(records), await version(records))
    expect(result).toEqual({
      windows: 4,
      onlyOne: 0,
      equal: 4,
      different: 0,
      examples: [],
      aggregates: ['total', 'mean', 'events'],
    })
  })

  test('differ in rows whose values are others, and in rows that one has not', async () => {
    const changed = [record(0, 'a', 3), record(10, 'b', 6), record(20, 'a', 7), record(21, 'c', 1)]
    const result = await compare(await version(records), await version(changed))
    expect(result).toMatchObject({ windows: 4, equal: 2, different: 4 })
    const [newest] = result.examples
    expect(newest).toMatchObject({
      start: T + 20_000,
      key: { who: 'c', state: 'on' },
      values: [null, { total: 1, events: 1 }],
    })
    expect(result.examples.at(-1)).toMatchObject({ values: [{ total: 5 }, { total: 6 }] })
  })

  test('are compared only where both have closed, and whole windows', async () => {
    const later = [record(10, 'b', 5), record(20, 'a', 7)]
    const result = await compare(await version(records, 25), await version(later))
    // The later one begins with the window from 5 on, so from 15 on both are whole; 15 is the last closed.
    expect(result).toMatchObject({ windows: 1, equal: 1, different: 0, onlyOne: 0 })
  })

  test('have nothing in common before both have closed windows', async () => {
    const result = await compare(await version(records), await version([], 0))
    expect(result).toMatchObject({ windows: 0, equal: 0, different: 0 })
  })

  /*   seconds   0    1    2    3    4    5    6    7    8    9   10        gap 2 s, cut at 8 s
   *   a         x────x─────────)              x─────────)
   *   b                   x─────────)                   |x─────────)
   *   the later one begins here ┘                                         and has no a before 5
   */
  test('of sessions are compared by the sessions, but for those that may go on from before', async () => {
    const session = async (...clicks: [seconds: number, who: string, loc?: number][]) => {
      const seeded = await seed(sinkJob(uniqueName('version'), { sessions: true }))
      all.push(seeded)
      const base = 1_700_000_000_000
      await seeded.records(
        clicks.map(([at, who, loc = 1]) => ({
          at: base + at * 1_000,
          group: [who],
          fields: { loc },
        })),
      )
      await seeded.closeTo(base + 60_000)
      return seeded
    }
    const whole = [
      [0, 'a'],
      [1, 'a'],
      [2, 'b'],
      [5, 'a'],
      [8, 'b'],
    ] as [number, string][]
    const old = await session(...whole)
    expect(await compare(old, await session(...whole))).toMatchObject({
      windows: 3,
      equal: 3,
      different: 0,
      onlyOne: 0,
    })
    expect(await compare(old, await session([2, 'b'], [5, 'a'], [8, 'b']))).toMatchObject({
      windows: 2,
      equal: 2,
      different: 0,
      onlyOne: 0,
    })
    const moved = await compare(old, await session(...whole, [6, 'a', 4]))
    // One that ends later is another session: either version has a row that the other one lacks.
    expect(moved).toMatchObject({ windows: 3, equal: 2, different: 2, onlyOne: 0 })
    const other = await compare(
      old,
      await session([0, 'a'], [1, 'a'], [2, 'b'], [5, 'a', 9], [8, 'b']),
    )
    expect(other).toMatchObject({ windows: 3, equal: 2, different: 1 })
    expect(other.examples).toMatchObject([
      { key: { who: 'a' }, values: [{ total: 1 }, { total: 9 }] },
    ])
  })

  test('are listed, and one that is done with is dropped with all that it had', async () => {
    const [one, other] = [await version(records), await version(records)]
    const names = async () => (await heldJobs(one.store)).map(({ name }) => name)
    expect(await names()).toEqual(expect.arrayContaining([one.job.name, other.job.name]))
    expect(await dropJob(other.store, other.keys)).toBeGreaterThan(5)
    expect(await other.store.redis.keys(`${other.keys.base}:*`)).toEqual([])
    expect(await names()).toContain(one.job.name)
    expect(await names()).not.toContain(other.job.name)
  })
})
