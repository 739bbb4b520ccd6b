/**
 * Redis as the pipeline would leave it, made by the pipeline's own functions: a topic is opened,
 * entries are appended, read and committed with the cells of given records, windows are closed.
 */
import { systemClock } from '../../actors/clock.ts'
import { readConfig } from '../../actors/config.ts'
import type { GroupValue, Job, Meta } from '../../actors/job.ts'
import { paneArguments } from '../../actors/executor/deltas.ts'
import { GROUP, type Keys, keysOf } from '../../actors/keys.ts'
import { createLog } from '../../actors/log.ts'
import type { Actor } from '../../actors/messages.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
import { addToSum, emptyCells, toFixedPoint } from '../../actors/windows/aggregates.ts'
import { boundField } from '../../actors/windows/revisions.ts'
import { isSession, shapeArguments } from '../../actors/windows/span.ts'
import { paneStart } from '../../actors/windows/windows.ts'
import { testServices } from '../support/services.ts'

/** A record after parsing: its event time, its group and the numbers that the aggregates take. */
export interface SeedRecord {
  at: number
  group: GroupValue[]
  fields?: Record<string, number>
}

export interface Seeded {
  store: Store
  keys: Keys
  job: Job
  /** Appends the records as one entry and commits it as the executor `e1`. */
  records(records: SeedRecord[]): Promise<void>
  /** Appends records that nobody takes. */
  waiting(records: number): Promise<void>
  /** Sets the watermark and closes what it passes; `groups` bounds it to one step of so many. */
  closeTo(watermark: number, groups?: number): Promise<void>
  actor(account: Partial<Actor> & Pick<Actor, 'id' | 'kind'>, leaseMs?: number): Promise<void>
  /** Removes the job's keys and closes the connection. */
  end(): Promise<void>
}

export const silentLog = createLog('test', 'error', () => undefined, false)

export async function seed(job: Job): Promise<Seeded> {
  const { redisUrl } = await testServices()
  const store = openStore(readConfig({ REDIS_URL: redisUrl }), silentLog)
  await untilReady(store)
  const keys = keysOf(job.name)
  await store.call('open', keys.base, ['topic-id', 'shape', 0, 0, 0])
  let offset = 0
  const append = async (count: number) => {
    const to = offset + count
    const entry = [1, offset, to, count, Buffer.from('x')]
    await store.call('append', keys.base, [0, String(offset), String(to), String(to), ...entry])
    offset = to
  }
  const advance = async (groups: number) => {
    const shape = [job.ops, ...shapeArguments(job), job.watermarkDelayMs]
    const reply = await store.call('advance', keys.base, [
      ...shape,
      30_000,
      groups,
      10_000,
      2 ** 30,
    ])
    return (reply as [string, string, number])[2] === 1
  }
  return {
    store,
    keys,
    job,
    async records(records) {
      await append(records.length)
      await commit(store, keys, job, records)
    },
    waiting: append,
    async closeTo(watermark, groups) {
      await store.redis.hset(keys.clock, 'watermark', watermark)
      let more = await advance(groups ?? 400)
      while (more && groups === undefined) more = await advance(400)
    },
    async actor(account, leaseMs = 60_000) {
      const whole = { ...plainActor(), ...account }
      const args = [account.id, JSON.stringify(whole), leaseMs]
      await store.call('beat', keys.base, args)
    },
    async end() {
      const found = await store.redis.keys(`${keys.base}:*`)
      if (found.length > 0) await store.redis.del(found)
      await store.close()
    },
  }
}

/** The arguments stand in commit.lua; the entry is read by the group first, since commits are owned. */
async function commit(store: Store, keys: Keys, job: Job, records: SeedRecord[]): Promise<void> {
  const reply = (await store.redis.xreadgroup(
    ...(['GROUP', GROUP, 'e1', 'COUNT', 1, 'STREAMS', keys.entries, '>'] as const),
  )) as [string, [string, string[]][]][]
  const [id, flat] = reply[0]![1][0]!
  const field = (name: string) => flat[flat.indexOf(name) + 1]!
  const max = Math.max(...records.map((record) => record.at))
  const limits = [100_000, 10_000, 10_000]
  const totals = [records.length, 0, 0, 0, 0, 1_000, 0]
  const entry = [id, 0, field('from'), field('to'), field('n'), field('b')]
  const slice = [...entry, field('from'), field('to'), max, records.length, 1]
  const head = ['e1', job.ops, ...shapeArguments(job), await closedTo(store, keys, job)]
  const result = await store.call('commit', keys.base, [
    ...head,
    ...limits,
    job.topic,
    ...totals,
    1,
    ...slice,
    ...panesArguments(job, records),
    0,
    0,
  ])
  if ((result as string[])[0] !== 'ok') throw new Error(`commit said ${String(result)}`)
}

const closedTo = async (store: Store, keys: Keys, job: Job) =>
  (await store.redis.hget(keys.clock, boundField(job))) ?? ''

function panesArguments(job: Job, records: SeedRecord[]): (string | number | Buffer)[] {
  const panes = Map.groupBy(records, (record) => paneStart(job, record.at))
  return [
    panes.size,
    ...Array.from(panes).flatMap(([start, inPane]) => {
      const groups = Array.from(Map.groupBy(inPane, (record) => JSON.stringify(record.group)))
      // Of sessions each record is one, which Redis merges.
      const parts = groups.flatMap(([key, all]) =>
        (isSession(job) ? all.map((record) => [record]) : [all]).map((some) => ({ key, some })),
      )
      const deltas = parts.map(({ key, some }) => ({
        key,
        cells: cellsOf(job, some),
        sketches: [],
      }))
      return paneArguments(start, deltas)
    }),
  ]
}

/** Folds counts, sums and averages, whose field is the one that the aggregate reads. */
function cellsOf(job: Job, records: SeedRecord[]): Float64Array<ArrayBuffer> {
  const cells = new Float64Array(emptyCells(job.ops))
  for (const { fields } of records) {
    let slot = 0
    for (const { aggregate } of job.aggregates) {
      if (aggregate.kind !== 'sum') cells[slot] = cells[slot++]! + 1
      if (aggregate.kind === 'count') continue
      const scaled = toFixedPoint(
        Number(aggregate.of!(fields, {} as Meta) ?? 0),
        aggregate.decimals,
      )!
      addToSum(cells, slot, scaled)
      slot += 2
    }
  }
  if (isSession(job)) cells.set([records[0]!.at, records[0]!.at], cells.length - 2)
  return cells
}

const plainActor = () => ({
  pid: process.pid,
  host: 'test',
  state: 'running' as const,
  startedAt: systemClock.now(),
  at: systemClock.now(),
  stoppedAt: null,
  reason: null,
  rssBytes: 50_000_000,
})
