import { afterEach, beforeEach, expect, test } from 'bun:test'
import * as v from 'valibot'
import { count, defineJob } from '../../../actors/job.ts'
import { encodeBatch } from '../../support/batches.ts'
import {
  lostReply,
  type RunningExecutor,
  startExecutor,
  type Tamper,
} from '../../support/executors.ts'
import { Shard } from '../../support/shard.ts'
import { until } from '../../../faults/until.ts'

// What an executor says of its steps, by which a supervisor tells one that is slow from one that hangs.

let it: Shard
let running: RunningExecutor | null = null
beforeEach(async () => {
  it = await Shard.open('progress', { ops: 'n' })
  await it.register(0)
})
afterEach(async () => {
  await running?.kill()
  running = null
  await it.end()
})

async function start(work?: (record: { at: number }) => Promise<{ at: number }>, tamper?: Tamper) {
  const job = defineJob({
    name: it.name,
    topic: 'records',
    schema: v.object({ at: v.number() }),
    eventTime: ({ at }) => at,
    window: { size: '10 s' },
    groupBy: [],
    aggregates: { events: count() },
    ...(work ? { work } : {}),
  })
  running = await startExecutor(job, tamper ? { tamper } : {})
  return running
}

async function append(records: number): Promise<void> {
  const value = JSON.stringify({ at: 1_700_000_000_000 })
  const batch = Array.from({ length: records }, (_, offset) => ({ offset, value }))
  await it.append(0, 0, [{ from: 0, to: records, payload: encodeBatch(batch) }])
}

test('each record of a long entry is a step, and waiting for one is none', async () => {
  const waiting: (() => void)[] = []
  const { stats } = await start(
    (record) => new Promise((resolve) => waiting.push(() => resolve(record))),
  )
  await append(3)
  for (let record = 1; record <= 3; record++) {
    await until(`record ${record} in hand`, () => waiting.length === record)
    const before = stats.progress
    await until('some looks', async () => (await it.measure()).pending === 1)
    expect(stats.progress).toBe(before)
    waiting.at(-1)!()
    await until('a step', () => stats.progress > before)
  }
  await until('the commit', async () => (await it.measure()).totals.committed === 3)
})

test('a refused commit is a step, so that an outage is no hang', async () => {
  const steps: number[] = []
  await start(undefined, (name, call) => {
    if (name !== 'commit') return call()
    steps.push(running!.stats.progress)
    return steps.length <= 3 ? Promise.reject(lostReply()) : call()
  })
  await append(1)
  await until('the commit', async () => (await it.measure()).totals.committed === 1)
  expect(steps).toHaveLength(4)
  expect(new Set(steps).size).toBe(4)
})

test('a commit that is not answered is none, and nothing to do is none', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let asked = false
  const { stats } = await start(undefined, async (name, call) => {
    if (name !== 'commit') return call()
    asked = true
    await promise
    return call()
  })
  await append(1)
  await until('the commit to be asked for', () => asked)
  const before = stats.progress
  await until('some looks', async () => (await it.measure()).pending === 1)
  expect(stats.progress).toBe(before)
  resolve()
  await until('the commit', async () => (await it.measure()).totals.committed === 1)
  await until('its step', () => stats.progress > before)
  const idle = stats.progress
  await until('another look for what is its own', async () => (await it.measure()).entries === 0)
  expect(stats.progress).toBe(idle)
})
