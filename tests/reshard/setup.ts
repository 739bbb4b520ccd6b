/**
 * A job of several shards that has something of everything, made by calls as actors make them; what it holds
 * as a whole, whichever shard holds it; and a Redis that somebody leaves in the middle.
 */
import type { Clock } from '../../actors/clock.ts'
import { count, defineJob, max, sum } from '../../actors/job.ts'
import type { Job } from '../../actors/job.ts'
import { type Keys, keysOf } from '../../actors/keys.ts'
import type { Store } from '../../actors/redis.ts'
import { shapeText } from '../../actors/shape.ts'
import { openWindows, PaneCache } from '../../actors/windows/open.ts'
import { valuesOf } from '../../actors/windows/state.ts'
import { uniqueName } from '../../faults/names.ts'
import { reshard, type Outcome } from '../../reshard/reshard.ts'
import { advance } from '../../supervisor/closing.ts'
import * as v from 'valibot'
import { connect } from '../support/redis.ts'
import { Shard } from '../support/shard.ts'

export const S = 1_000
export const PARTITIONS = 5

export const jobOf = (name: string): Job =>
  defineJob({
    name,
    topic: name,
    schema: v.object({ at: v.number(), who: v.string(), n: v.number() }),
    eventTime: ({ at }) => at,
    watermarkDelay: '5 s',
    window: { size: '10 s', slide: '5 s' },
    groupBy: ['who'],
    aggregates: { events: count(), total: sum('n'), most: max('n') },
  })

/** `end` removes the job's keys and closes the connection. */
export async function openJob(label: string) {
  const name = uniqueName(label)
  const store = await connect()
  const end = async () => {
    const found = await store.redis.keys(`millrace:{${name}/*`)
    if (found.length > 0) await store.redis.del(found)
    await store.close()
  }
  return { job: jobOf(name), store, end }
}

/** Slots of a group: events, the limbs of the sum, the most. */
const slotsOf = (n: number) => [1, 0, n, n]

/**
 * Two entries of each partition, committed: windows up to 20 s can be closed, later ones are open. `sec`: from
 * when on, so that a job can go on.
 */
export async function work(store: Store, job: Job, keys: Keys, sec = 0): Promise<void> {
  const { ops, windowSizeMs, windowSlideMs } = job
  const shape = { ops, windowSizeMs, windowSlideMs, allowedLatenessMs: 0, updatesMs: 0 }
  for (const one of keys.shards) {
    const shard = new Shard({ name: job.name, store, keys: one, end: async () => {} }, shape)
    const own = Array.from({ length: PARTITIONS }, (_, p) => p).filter(
      (p) => p % keys.shards.length === one.shard,
    )
    const opened = (await shard.call(
      'open',
      'topic-id',
      shapeText(job),
      ...own.flatMap((p) => [p, 0, 0]),
    )) as string[]
    const next = new Map(own.map((p, i) => [p, Number(opened[2 + 2 * i])]))
    for (const p of own) await commitSome(shard, p, next.get(p)!, sec)
  }
  while (await advance(store, keys, job));
}

async function commitSome(shard: Shard, p: number, at: number, sec: number): Promise<void> {
  await shard.append(p, at, [
    { from: at, to: at + 3 },
    { from: at + 3, to: at + 6 },
  ])
  const entries = await shard.read('e1')
  const closedTo = await shard.redis.hget(shard.keys.clock, 'closedTo')
  const groups = (n: number) => ({
    '["all"]': slotsOf(n),
    [`["of ${p}"]`]: slotsOf(n),
    [`["some ${n % 2}"]`]: slotsOf(n),
  })
  const start = sec * S
  const reply = await shard.commit({
    slices: entries.map((entry, i) => ({ entry, max: start + (i === 0 ? 12 : 26 + p) * S })),
    panes: {
      [start + 10 * S]: groups(p + 1),
      [start + 15 * S]: groups(p + 2),
      [start + 25 * S]: groups(p + 3),
    },
    closedTo: closedTo === null ? null : Number(closedTo),
    counted: 4,
    rejected: 1,
    late: 1,
    hash: 2 ** 47 + p * 1_001,
    busyUs: 100 + p,
    rejects: [[p, at + 1, 'schema', 'not right', Buffer.from([0, 255, p])]],
    verdicts: [[p, 'late', 5 * S, `${at + 2}`]],
  })
  if (reply[0] !== 'ok') throw new Error(`not committed: ${reply.join()}`)
  await shard.redis.hset(shard.keys.handled, `${p}:${at + 1}`, 'dropped|1')
}

/** What the job holds as a whole; equal whichever shards hold it. */
export async function viewOf(store: Store, job: Job, keys: Keys) {
  const of = (read: (shard: Keys) => Promise<Record<string, string>>) =>
    Promise.all(keys.shards.map(read))
  const ledgers = await of(({ ledger }) => store.redis.hgetall(ledger))
  const totals = await of((shard) => store.redis.hgetall(shard.totals))
  const clocks = await of(({ clock }) => store.redis.hgetall(clock))
  const joined = await store.redis.hgetall(keys.clock)
  return {
    ledger: sorted(ledgers.flatMap(Object.entries)),
    totals: sumOf(totals),
    watermark: Math.min(...clocks.map(({ watermark }) => Number(watermark))),
    closedTo: [...new Set([...clocks, joined].map(({ closedTo }) => closedTo))],
    closedWindows: joined.closedWindows,
    closed: (await store.redis.xrange(keys.closed, '-', '+')).map(([id, fields]) => [id, fields]),
    open: await openRows(store, job, keys),
    handled: sorted(
      (await of(({ handled }) => store.redis.hgetall(handled))).flatMap(Object.entries),
    ),
    ...(await streamsOf(store, keys)),
  }
}

export async function openRows(store: Store, job: Job, keys: Keys) {
  const rows: unknown[] = []
  const query = { limit: 1_000 }
  for await (const { start, groups } of openWindows(store, keys, job, query, new PaneCache())) {
    for (const [group, parts] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
      rows.push([start, group, valuesOf(job, parts)])
    }
  }
  return rows
}

/** In the order of their ids, which may be told apart anew where they were the same in two shards. */
async function streamsOf(store: Store, keys: Keys) {
  const read = async (name: 'rejects' | 'verdicts' | 'losses') => {
    const all = await Promise.all(
      keys.shards.map((shard) => store.redis.xrange(shard[name], '-', '+')),
    )
    return all
      .flat()
      .map(([id, fields]) => [id.split('-')[0], ...fields].join('|'))
      .sort()
  }
  return {
    rejects: await read('rejects'),
    verdicts: await read('verdicts'),
    losses: await read('losses'),
  }
}

/** Fields that are of no partition are in each shard. */
const sorted = (fields: [string, string][]) =>
  [...new Map(fields)].sort(([a], [b]) => (a < b ? -1 : 1))

function sumOf(all: Record<string, string>[]) {
  const sums: Record<string, number> = {}
  for (const [name, text] of all.flatMap(Object.entries)) {
    sums[name] = ((sums[name] ?? 0) + Number(text)) % 2 ** 48
  }
  return sums
}

/** Partitions as the ledger of each shard has them. */
export const partitionsOf = (store: Store, keys: Keys): Promise<number[][]> =>
  Promise.all(
    keys.shards.map(async ({ ledger }) =>
      Object.keys(await store.redis.hgetall(ledger))
        .flatMap((field) => /^(\d+):next$/.exec(field)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b),
    ),
  )

/** Time that passes only while somebody waits. */
export function quickClock(): Clock {
  let time = 0
  return {
    now: () => 1_700_000_000_000 + time,
    elapsed: () => time,
    random: () => Math.random(),
    sleep: (ms) => {
      time += ms
      return Promise.resolve()
    },
    turn: () => Promise.resolve(),
  }
}

const openReader = () => {
  throw new Error('nothing waits')
}

export function change(store: Store, job: Job, to: number, clock = quickClock()): Promise<Outcome> {
  return reshard({ store, job, to, code: null, openReader, clock, tell: () => {} })
}

/** The `last`th call happens and its reply is never seen, and nor does any later call happen. */
export function leaving(store: Store, last: number): { store: Store; calls: () => number } {
  let calls = 0
  const counted = <T>(call: () => Promise<T>): Promise<T> => {
    calls++
    if (calls > last) return Promise.reject(new Error('left'))
    if (calls < last) return call()
    return call().then(() => Promise.reject(new Error('left')))
  }
  const redis = new Proxy(store.redis, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) =>
        counted(() => Reflect.apply(value, target, args) as Promise<unknown>)
    },
  })
  return {
    calls: () => calls,
    store: {
      ...store,
      redis,
      call: (...args) => counted(() => store.call(...args)),
      callBuffer: (...args) => counted(() => store.callBuffer(...args)),
    },
  }
}

/** The keys that the job has in Redis, as a whole, by the shards' number. */
export const keysFor = (job: Job, shards: number): Keys => keysOf(job.name, shards)
