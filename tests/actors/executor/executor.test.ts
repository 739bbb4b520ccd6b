import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { count, defineJob, type Job, sum } from '../../../actors/job.ts'
import { GROUP } from '../../../actors/keys.ts'
import { readClosedWindows, readOpenWindows } from '../../../actors/windows/read.ts'
import { type BatchRecord, type Codec, encodeBatch } from '../../support/batches.ts'
import {
  type ExecutorSetup,
  lostReply,
  type RunningExecutor,
  startExecutor,
  type Tamper,
} from '../../support/executors.ts'
import { Shard } from '../../support/shard.ts'
import { until } from '../../../faults/until.ts'

const T = 1_700_000_000_000

interface Given {
  at: number
  who: string
  x: number
  [more: string]: unknown
}

const jobNamed = (
  name: string,
  change: { work?: (record: Given) => Promise<Given>; concurrency?: number } = {},
) =>
  defineJob({
    name,
    topic: 'records',
    schema: v.looseObject({ at: v.number(), who: v.string(), x: v.number() }),
    filter: (record) => record.who !== 'nobody',
    eventTime: (record) => record.at,
    watermarkDelay: '1 minute',
    window: { size: '10 s', slide: '5 s' },
    groupBy: ['who'],
    aggregates: { events: count(), total: sum('x', { decimals: 2 }) },
    ...change,
  })

let it: Shard
let running: RunningExecutor[]
beforeEach(async () => {
  running = []
  it = await Shard.open('executor', { ops: 'nhl' })
})
afterEach(async () => {
  await Promise.all(running.map((executor) => executor.kill()))
  await it.end()
})

async function start(job: Job, setup?: ExecutorSetup): Promise<RunningExecutor> {
  const executor = await startExecutor(job, setup)
  running.push(executor)
  return executor
}

/** A number between 0 and n that depends on i alone. */
const mixed = (i: number, n: number) => (Math.imul(i + 1, 2_654_435_761) >>> 8) % n

const givenAt = (i: number): Given => ({
  at: T + mixed(i, 40_000),
  who: ['ann', 'bob', 'eve', 'nobody'][mixed(i * 7, 4)]!,
  x: mixed(i * 13, 100_000) / 100,
})

const recordsOf = (from: number, count: number): BatchRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    offset: from + i,
    value: JSON.stringify(givenAt(from + i)),
  }))

/** Appends entries of records of each partition, each entry of a batch or two. */
async function fill(partition: number, entries: number, perEntry: number, codec: Codec = 'lz4') {
  const from = Number((await it.ledger())[`${partition}:next`])
  const args = Array.from({ length: entries }, (_, i) => {
    const at = from + i * perEntry
    const half = Math.ceil(perEntry / 2)
    const batches = [encodeBatch(recordsOf(at, half), { codec })]
    if (half < perEntry) batches.push(encodeBatch(recordsOf(at + half, perEntry - half)))
    return { from: at, to: at + perEntry, payload: Buffer.concat(batches) }
  })
  for (let i = 0; i < args.length; i += 20) {
    const part = args.slice(i, i + 20)
    await it.append(partition, part[0]!.from, part)
  }
}

/** Window start|group → [events, total], from the records alone. */
function reference(counts: number[], without: ReadonlySet<number> = new Set()) {
  const expected = new Map<string, [number, number]>()
  for (const count of counts) {
    for (let i = 0; i < count; i++) {
      const { at, who, x } = givenAt(i)
      if (who === 'nobody' || without.has(i)) continue
      for (const start of [0, 1].map((back) => Math.floor(at / 5_000) * 5_000 - back * 5_000)) {
        const [events, cents] = expected.get(`${start}|${who}`) ?? [0, 0]
        expected.set(`${start}|${who}`, [events + 1, cents + Math.round(x * 100)])
      }
    }
  }
  return new Map([...expected].map(([name, [events, cents]]) => [name, [events, cents / 100]]))
}

async function windows(job: Job) {
  const rows = [
    ...(await readOpenWindows(it.store, it.keys, job)),
    ...(await readClosedWindows(it.store, it.keys, job)),
  ]
  return new Map(
    rows.map((row) => [`${row.start}|${row.key.who}`, [row.values.events, row.values.total]]),
  )
}

const drained = () =>
  until('the stream to be empty', async () => {
    const { entries, pending, totals, partitions } = await it.measure()
    const finished = partitions.every(({ next, frontier }) => next === frontier)
    if (entries === 0 && pending === 0 && totals.waiting === 0 && finished) return true
    throw new Error(JSON.stringify({ entries, pending, waiting: totals.waiting, partitions }))
  })

/**
 * No record is under suspicion. A kill that met the same record in two executors' hands could not be
 * told from a record that kills, and would have it rejected as poison.
 */
async function nothingSuspected(): Promise<boolean> {
  const { orphaned } = await it.measure()
  return orphaned === 0 && (await it.redis.hlen(it.keys.suspects)) === 0
}

const waits = (ms: number) => async (record: Given) => {
  await Bun.sleep(ms)
  return record
}

describe('executors', () => {
  test('give the windows that the records alone give, whoever works', async () => {
    const job = jobNamed(it.name)
    await it.register(0, 0)
    await fill(0, 60, 101)
    await start(job)
    await start(job)
    await fill(1, 60, 50, 'zstd')
    await start(job)
    await drained()
    expect(await windows(job)).toEqual(reference([6_060, 3_000]))
    const { totals } = await it.measure()
    expect(totals).toMatchObject({ appended: 9_060, committed: 9_060, late: 0, rejected: 0 })
    expect(totals.counted + totals.filtered).toBe(9_060)
  })

  test('lose and repeat nothing when they are killed, again and again', async () => {
    const job = jobNamed(it.name, { work: waits(3), concurrency: 4 })
    await it.register(0)
    await fill(0, 120, 50)
    for (let round = 0; round < 3; round++) {
      const one = await start(job)
      if (round === 0) await start(job)
      await until('what the last one left to be done', () => nothingSuspected())
      const before = (await it.measure()).totals.committed
      await until('some progress', async () => (await it.measure()).totals.committed > before)
      await one.kill()
      await it.call('bury', one.id, '{}')
    }
    await drained()
    expect(await windows(job)).toEqual(reference([6_000]))
    expect((await it.measure()).totals).toMatchObject({ committed: 6_000, rejected: 0 })
  })

  test('drain in order: finish what is in hand, hand nothing back, leave no name', async () => {
    const job = jobNamed(it.name, { work: waits(5) })
    await it.register(0)
    await fill(0, 30, 10)
    const [one, two] = [await start(job), await start(job)]
    await until('both to work', () => one.stats.records > 0 && two.stats.records > 0)
    await one.drain()
    const { entries, pending } = await it.measure()
    expect(entries).toBeGreaterThan(0)
    const consumers = (await it.redis.xinfo('CONSUMERS', it.keys.entries, GROUP)) as string[][]
    expect(consumers.map((flat) => flat[1])).toEqual([two.id])
    expect(await it.redis.exists(it.keys.left, it.keys.crashes)).toBe(0)
    expect(pending).toBeLessThanOrEqual(3)
    await drained()
    expect(await windows(job)).toEqual(reference([300]))
    expect(one.stats.records + two.stats.records).toBe(300)
  })

  test('drain before they began to work', async () => {
    const job = jobNamed(it.name)
    await it.register(0)
    await fill(0, 3, 10)
    const executor = await start(job)
    await executor.drain()
    await start(job)
    await drained()
    expect(await windows(job)).toEqual(reference([30]))
  })

  test('work on as many records at once as the job allows', async () => {
    let now = 0
    let most = 0
    const work = async (record: Given) => {
      most = Math.max(most, ++now)
      await Bun.sleep(2)
      now--
      return record
    }
    const job = jobNamed(it.name, { work, concurrency: 7 })
    await it.register(0)
    await fill(0, 4, 50)
    await start(job)
    await drained()
    expect(most).toBe(7)
    expect(await windows(job)).toEqual(reference([200]))
  })

  test('reject the records whose work throws, and count what it made of the others', async () => {
    const work = (record: Given) =>
      record.x > 900 ? Promise.reject(new Error('too much')) : Promise.resolve(record)
    const job = jobNamed(it.name, { work, concurrency: 3 })
    await it.register(0)
    await fill(0, 5, 40)
    await start(job)
    await drained()
    const thrown = new Set([...Array(200).keys()].filter((i) => givenAt(i).x > 900))
    expect(thrown.size).toBeGreaterThan(5)
    expect(await windows(job)).toEqual(reference([200], thrown))
    const rejects = await it.redis.xrange(it.keys.rejects, '-', '+')
    expect(new Set(rejects.map(([, fields]) => Number(fields[5])))).toEqual(thrown)
    expect(rejects[0]![1]).toContain('too much')
  })

  test('take over what others left, with nobody to tell them', async () => {
    const job = jobNamed(it.name)
    await it.register(0)
    await fill(0, 5, 10)
    await it.read('who-never-lived')
    await start(job)
    await drained()
    expect(await windows(job)).toEqual(reference([50]))
  })

  test('go on where windows closed in front of them', async () => {
    const job = jobNamed(it.name, { work: waits(1), concurrency: 5 })
    await it.register(0)
    await fill(0, 30, 20)
    await start(job)
    await until('some progress', async () => (await it.measure()).totals.committed > 50)
    await it.closeTo(T + 20_000, { delay: 10 ** 12 })
    await drained()
    const { totals } = await it.measure()
    expect(totals.late).toBeGreaterThan(0)
    expect(totals.committed).toBe(600)
    // What is closed stays; every record counts in all windows that were open, or is a reject.
    const rows = await readClosedWindows(it.store, it.keys, job)
    expect(rows.length).toBeGreaterThan(0)
    const open = await readOpenWindows(it.store, it.keys, job)
    const ends = [...reference([600])].filter(([name]) => Number(name.split('|')[0]) >= T + 10_001)
    expect(
      new Map(
        open.map((row) => [`${row.start}|${row.key.who}`, [row.values.events, row.values.total]]),
      ),
    ).toEqual(new Map(ends))
  })
})

describe('a commit stays small', () => {
  /** The numbers of rejects in each commit, as the counters in Redis move. */
  async function rejectsOfCommits(job: Job): Promise<number[]> {
    const counts: number[] = []
    let last = 0
    const tamper: Tamper = async (name, call) => {
      const reply = await call()
      if (name !== 'commit') return reply
      const { rejected } = (await it.measure()).totals
      counts.push(rejected - last)
      last = rejected
      return reply
    }
    const executor = await start(job, { tamper })
    await drained()
    await executor.drain()
    return counts
  }

  test.each([
    ['without work', {}],
    ['with work, one at a time', { work: waits(0) }],
    ['with work, many at once', { work: waits(0), concurrency: 8 }],
  ])('where nothing is JSON, %s', async (_, change) => {
    await it.register(0)
    const bad = Array.from({ length: 2_000 }, (_, offset) => ({ offset, value: '{' }))
    await it.append(0, 0, [{ from: 0, to: 2_000, payload: encodeBatch(bad, { codec: 'gzip' }) }])
    const counts = await rejectsOfCommits(jobNamed(it.name, change))
    expect(Math.max(...counts)).toBeLessThan(300)
    expect((await it.measure()).totals).toMatchObject({ committed: 2_000, rejected: 2_000 })
  })

  test.each([
    ['without work', {}],
    ['with work', { work: waits(0), concurrency: 8 }],
  ])('where a large batch is corrupt, %s', async (_, change) => {
    await it.register(0)
    const damaged = encodeBatch(recordsOf(0, 1_000))
    damaged[80]! ^= 1
    const payload = Buffer.concat([damaged, encodeBatch(recordsOf(1_000, 10))])
    await it.append(0, 0, [{ from: 0, to: 1_010, payload }])
    const job = jobNamed(it.name, change)
    const counts = await rejectsOfCommits(job)
    expect(Math.max(...counts)).toBeLessThan(300)
    expect((await it.measure()).totals).toMatchObject({ committed: 1_010, rejected: 1_000 })
    expect(await windows(job)).toEqual(reference([1_010], new Set(Array(1_000).keys())))
    const offsets = (await it.redis.xrange(it.keys.rejects, '-', '+')).map(
      ([, fields]) => fields[5],
    )
    expect(offsets).toEqual([...Array(1_000).keys()].map(String))
  })
})

/** Lets the n-th commit happen and takes its reply. */
function losing(...commits: number[]): Tamper {
  let count = 0
  return async (name, call) => {
    if (name !== 'commit') return call()
    const mine = ++count
    const reply = await call()
    if (commits.includes(mine)) throw lostReply()
    return reply
  }
}

describe('a lost reply', () => {
  test('to the commit of whole entries costs nothing', async () => {
    const job = jobNamed(it.name)
    await it.register(0)
    await fill(0, 20, 50)
    await start(job, { tamper: losing(1, 3) })
    await drained()
    expect(await windows(job)).toEqual(reference([1_000]))
  })

  test('to the commit of a part of an entry does not keep the rest from being worked on', async () => {
    // About 25 records make a commit, so that an entry of 200 is committed in many parts.
    const job = jobNamed(it.name, { work: waits(2) })
    await it.register(0)
    await fill(0, 3, 200)
    await start(job, { tamper: losing(1, 2, 5, 9) })
    await drained()
    expect(await windows(job)).toEqual(reference([600]))
    expect((await it.measure()).totals).toMatchObject({ committed: 600, appended: 600 })
  })

  test('to a claim does not keep the entries from being worked on', async () => {
    const job = jobNamed(it.name)
    await it.register(0)
    await fill(0, 5, 10)
    await it.read('who-never-lived')
    let lost = false
    const tamper: Tamper = async (name, call) => {
      const reply = await call()
      if (name === 'claim' && !lost) {
        lost = true
        throw lostReply()
      }
      return reply
    }
    await start(job, { tamper })
    await drained()
    expect(await windows(job)).toEqual(reference([50]))
  })

  test('to a read does not keep the entries from being worked on', async () => {
    const job = jobNamed(it.name, { work: waits(200) })
    await it.register(0)
    await fill(0, 1, 1)
    const executor = await start(job)
    await until('the first entry to be in hand', async () => (await it.measure()).pending === 1)
    // Delivered to it by Redis, never received: as when a read timed out and was answered later.
    await fill(0, 3, 1)
    expect(await it.read(executor.id)).toHaveLength(3)
    await drained()
    expect(await windows(job)).toEqual(reference([4]))
  })
})

describe('a zombie', () => {
  test('that works on while another has its entries changes nothing', async () => {
    let stopped = false
    let wake = () => {}
    const stop = new Promise<void>((resolve) => (wake = resolve))
    const tamper: Tamper = async (name, call) => {
      if (name === 'commit' && stopped) await stop
      return call()
    }
    const job = jobNamed(it.name, { work: waits(2), concurrency: 2 })
    await it.register(0)
    await fill(0, 10, 60)
    const zombie = await start(job, { tamper })
    await until('some progress', () => zombie.stats.records > 20)
    stopped = true
    await it.call('bury', zombie.id, '{}')
    const other = await start(job)
    await until('the other to take over', () => other.stats.records > 100)
    wake()
    await drained()
    expect(await windows(job)).toEqual(reference([600]))
    expect((await it.measure()).totals.committed).toBe(600)
    // It is alive, has lost what it had, and goes on with what comes.
    await fill(0, 10, 60)
    const before = zombie.stats.records
    await drained()
    expect(zombie.stats.records).toBeGreaterThan(before)
    expect(await windows(job)).toEqual(reference([1_200]))
  })
})

describe('what can’t go on', () => {
  test('ends the executor, also when nothing else comes', async () => {
    const job = jobNamed(it.name)
    await it.register(0)
    await fill(0, 1, 10)
    const other = new TypeError('a bug')
    const tamper: Tamper = (name, call) => (name === 'commit' ? Promise.reject(other) : call())
    const executor = await start(job, { tamper })
    const ended = await until('the end', () => Promise.race([executor.ended, Bun.sleep(10)]), {
      timeoutMs: 3_000,
    })
    expect(ended).toBe(other)
  })

  test('is said where the open windows are another job’s', async () => {
    const job = jobNamed(it.name)
    await it.register(0)
    await fill(0, 1, 10)
    for (const pane of Array.from({ length: 8 }, (_, i) => T + i * 5_000)) {
      for (const who of ['ann', 'bob', 'eve']) {
        await it.redis.hset(it.keys.pane(pane), JSON.stringify([who]), 'another')
      }
    }
    const executor = await start(job)
    const ended = await until('the end', () => Promise.race([executor.ended, Bun.sleep(10)]), {
      timeoutMs: 3_000,
    })
    expect((ended as Error).message).toMatch(
      /the open windows of job .* were made with other aggregates/,
    )
  })

  test('because nobody goes on closing a window does not keep it from draining', async () => {
    const job = jobNamed(it.name)
    await it.register(0)
    const skew = { ms: 0 }
    const clock = { elapsed: () => performance.now() + skew.ms }
    const closing = [T, T + 50_000].flatMap((end) => ['closing', end])
    await it.redis.hset(it.keys.clock, ...closing, 'closingPane', T, 'closingCursor', 0)
    await fill(0, 1, 3)
    const before = await it.redis.hget(it.keys.clock, 'closing')
    expect(before).toBe(String(T + 50_000))
    const everyPane = givenAt(0).at - (givenAt(0).at % 5_000) + 5_000
    await it.redis.hset(it.keys.clock, 'closing', everyPane)
    const executor = await start(job, { clock })
    await until('the entry to be in hand', async () => (await it.measure()).pending === 1)
    const end = executor.drain()
    skew.ms = 60_000
    await until('the end', () => Promise.race([end.then(() => true), Bun.sleep(10)]), {
      timeoutMs: 3_000,
    })
    expect(await it.measure()).toMatchObject({ entries: 1, orphaned: 1, totals: { committed: 0 } })
  })
})
