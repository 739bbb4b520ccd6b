import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { systemClock } from '../../../actors/clock.ts'
import { bounds } from '../../../actors/config.ts'
import { Batch } from '../../../actors/executor/batch.ts'
import { createHandFile, Hand, readHand } from '../../../actors/executor/hand.ts'
import type { Entry } from '../../../actors/executor/inbox.ts'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { count, defineJob } from '../../../actors/job.ts'
import { encodeBatch } from '../../support/batches.ts'

const declaration = {
  name: 'batches',
  topic: 'batches',
  schema: v.looseObject({ at: v.number() }),
  eventTime: (row: { at: number }) => row.at,
  window: { size: '10 s' },
  groupBy: [],
  aggregates: { n: count() },
} as const
const verdict = { closedTo: null, full: new Map<number, Set<string>>() }

function entryOf(values: string[], given: Partial<Entry> = {}): Entry {
  const payload = encodeBatch(values.map((value, offset) => ({ offset, timestamp: 1, value })))
  const to = values.length
  return {
    id: '1-0',
    topic: 'records',
    partition: 0,
    from: 0,
    to,
    announced: to,
    bytes: payload.length,
    payload,
    cursor: 0,
    crashes: 0,
    suspects: new Map(),
    ...given,
  }
}

/** By it no batch is full because the machine is slow. */
const patient = { ...systemClock, elapsed: () => 0 }

test('with work, a batch that reached its bound can be folded again', async () => {
  const job = defineJob({ ...declaration, work: (row) => row })
  const batch = new Batch({ job, clock: patient, mark: () => Promise.resolve() }, verdict)
  const entry = entryOf(Array.from({ length: bounds.commitRejectsMax + 50 }, () => 'not JSON'))
  const slice = await batch.take(entry, new RecordCursor(entry.payload, 0, entry.to), () => false)
  expect(slice).toMatchObject({ done: false, records: bounds.commitRejectsMax })
  const again = await batch.again(verdict, new WeakSet())
  expect(again.slices).toMatchObject([{ from: 0, to: slice.to, records: slice.records }])
})

test('what hung once is not tried again when a batch is folded again; its neighbours count', async () => {
  const seen: number[] = []
  const aborted: boolean[] = []
  const work = (row: { at: number }, { signal }: { signal: AbortSignal }) => {
    seen.push(row.at)
    if (row.at !== 2) return row
    signal.addEventListener('abort', () => aborted.push(signal.aborted))
    return new Promise<typeof row>(() => {})
  }
  const job = defineJob({ ...declaration, work, workTimeout: '20 ms', concurrency: 4 })
  const batch = new Batch({ job, clock: patient, mark: () => Promise.resolve() }, verdict)
  const entry = entryOf(['{"at":1}', '{"at":2}', '{"at":3}'])
  await batch.take(entry, new RecordCursor(entry.payload, 0, 3), () => false)
  const again = await batch.again(verdict, new WeakSet())
  for (const { fold } of [batch, again]) {
    expect(fold.rejects).toMatchObject([
      { offset: 1, reason: 'hung', message: 'work did not settle within 20 ms' },
    ])
    expect(fold.counted).toBe(2)
    expect([...fold.verdicts]).toEqual([['0|hung', [1]]])
  }
  expect(seen).toEqual([1, 2, 3, 1, 3])
  expect(aborted).toEqual([true])
})

test('while Redis is asked to note a record nothing is in hand: who dies then dies of no record', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-batch-'))
  const path = join(dir, 'hand')
  createHandFile(path)
  const seen: string[] = []
  const look = (who: string) => seen.push(`${who} ${readHand(path)?.offsets.join() ?? '–'}`)
  const filter = () => look('code') < 0
  const mark = async () => void look('mark')
  const hand = new Hand(path)
  const context = { job: defineJob({ ...declaration, filter }), clock: patient, mark, hand }
  const entry = entryOf(['{"at":1}', '{"at":2}'], { crashes: 1 })
  await new Batch(context, verdict).take(entry, new RecordCursor(entry.payload, 0, 2), () => false)
  expect(seen).toEqual(['mark –', 'code 0', 'mark –', 'code 1'])
  rmSync(dir, { recursive: true })
})

test('what is poison stays poison when a batch is folded again', async () => {
  const seen: number[] = []
  const filter = (row: { at: number }) => seen.push(row.at) > 0
  const job = defineJob({ ...declaration, filter })
  const batch = new Batch({ job, clock: patient, mark: () => Promise.resolve() }, verdict)
  const entry = entryOf(['{"at":1}', '{"at":2}'], { crashes: 2, suspects: new Map([[1, 2]]) })
  await batch.take(entry, new RecordCursor(entry.payload, 0, 2), () => false)
  const again = await batch.again(verdict, new WeakSet())
  expect(again.fold.rejects).toMatchObject([{ offset: 1, reason: 'poison' }])
  expect(seen).toEqual([1, 1])
})

for (const [costMs, records] of [
  [60, 1],
  [20, 4],
  [2, 32],
] as const) {
  test(`records that take ${costMs} ms each give the thread back after ${records}`, async () => {
    let now = 0
    const clock = { ...systemClock, elapsed: () => now }
    const filter = () => {
      now += costMs
      return true
    }
    const job = defineJob({ ...declaration, filter })
    const batch = new Batch({ job, clock, mark: () => Promise.resolve() }, verdict)
    const entry = entryOf(Array.from({ length: 200 }, () => '{"at":1}'))
    const slice = await batch.take(entry, new RecordCursor(entry.payload, 0, 200), () => false)
    expect(slice).toMatchObject({ done: false, records })
  })
}
