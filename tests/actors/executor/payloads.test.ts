/** Payloads that lie beside the stream: what they are read into is used again. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import * as v from 'valibot'
import { count, defineJob, type Job, sum } from '../../../actors/job.ts'
import { readOpenWindows } from '../../../actors/windows/read.ts'
import { until } from '../../../faults/until.ts'
import { encodeBatch } from '../../support/batches.ts'
import { type RunningExecutor, startExecutor } from '../../support/executors.ts'
import { Shard } from '../../support/shard.ts'

const T = 1_700_000_000_000
const ENTRIES = 40
const RECORDS = 50
/** Of a record, so that an entry comes in several chunks. */
const PADDING = 'p'.repeat(4_000)

const schema = v.object({ at: v.number(), x: v.number(), padding: v.string() })
const jobWith = (more: { decode?: (bytes: Buffer) => unknown } = {}) =>
  defineJob({
    name: it.name,
    topic: 'records',
    schema,
    eventTime: (record) => record.at,
    watermarkDelay: '1 minute',
    window: { size: '10 s', slide: '10 s' },
    groupBy: [],
    aggregates: { events: count(), total: sum('x') },
    ...more,
  })

let it: Shard
let running: RunningExecutor | undefined
beforeEach(async () => {
  it = await Shard.open('payloads', { ops: 'nh' })
})
afterEach(async () => {
  await running?.kill()
  await it.end()
})

const valueOf = (i: number) => JSON.stringify({ at: T + i, x: i, padding: PADDING })

async function fill(): Promise<void> {
  await it.register(0)
  for (let from = 0; from < ENTRIES * RECORDS; from += RECORDS) {
    const to = from + RECORDS
    const records = Array.from({ length: RECORDS }, (_, i) => ({
      offset: from + i,
      value: valueOf(from + i),
    }))
    await it.redis.set(it.keys.payload(0, from, to), encodeBatch(records))
    const [told] = await it.append(0, from, [
      { from, to, payload: Buffer.alloc(0), records: RECORDS },
    ])
    expect(told).toBe(1)
  }
}

/** What was given back while a job read all entries. */
async function playAll(job: Job): Promise<Set<Buffer>> {
  running = await startExecutor(job)
  const given = new Set<Buffer>()
  const { giveBack } = running.writer
  running.writer.giveBack = (payload) => {
    given.add(payload)
    giveBack(payload)
  }
  await fill()
  const all = ENTRIES * RECORDS
  const isDone = async () => (await it.measure()).totals.committed === all
  await until('all records', isDone, { timeoutMs: 20_000 })
  const [row] = await readOpenWindows(it.store, it.keys, job)
  expect(row?.values).toEqual({ events: all, total: (all * (all - 1)) / 2 })
  return given
}

test('an entry gives its payload back once it is committed, and every record counts', async () => {
  const given = await playAll(jobWith())
  expect(given.size).toBe(ENTRIES)
})

test('but for jobs whose own code was handed the bytes, which it may hold on to', async () => {
  const given = await playAll(
    jobWith({ decode: (bytes) => JSON.parse(bytes.toString()) as unknown }),
  )
  expect(given.size).toBe(0)
})
