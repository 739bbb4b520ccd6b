/**
 * Records that are no JSON, end to end: the jobs of docs/jobs.md as they stand there, what producers write
 * with a schema registry, and bytes that are none of it.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestRecord } from '../../faults/topic.ts'
import { root, writeBlocks } from '../docs/blocks.ts'
import { byOthers, framed, payments, rideOf, subjects } from '../fixtures/formats.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

const T = Date.parse('2024-05-01T12:00:00Z')

let folder: string
let registry: TestRegistry
beforeAll(() => {
  folder = writeBlocks()
  registry = startRegistry(subjects)
})
afterAll(async () => {
  await registry.end()
  rmSync(folder, { recursive: true })
})

/** A record, and what it is rejected with: the reason, and the beginning of its message. */
type Broken = [value: string | Buffer, reason: string, message: string]

/** Sends good records and broken ones; the good must be in the windows, the others told of as they are. */
async function play(
  file: string,
  good: readonly (string | Buffer)[],
  broken: readonly Broken[],
): Promise<Record<string, unknown>[]> {
  let rows: Record<string, unknown>[] = []
  const environment = { EXAMPLE_JOB_FILE: join(folder, file), SCHEMA_REGISTRY_URL: registry.url }
  const options = { label: 'formats', job: 'example.ts', topic: { partitions: 2 }, environment }
  await withPipeline(options, async (pipeline) => {
    await pipeline.begin()
    const values = [...good, ...broken.map(([value]) => value)]
    const records = values.map(
      (value, i): TestRecord => ({ value, partition: i % 2, timestamp: T }),
    )
    await pipeline.topic.produce(records)
    await pipeline.drained()
    rows = (await pipeline.windows()).map(({ key, values }) => ({ ...key, ...values }))
    const { totals } = await pipeline.statusNow()
    expect(totals).toMatchObject({
      counted: good.length,
      rejected: broken.length,
      late: 0,
      unaccounted: 0,
    })
    await expectRejects(pipeline, good.length, broken)
    expect(await pipeline.verify()).toMatchObject({ ok: true, unaccounted: 0 })
  })
  return rows
}

async function expectRejects(
  pipeline: Pipeline,
  from: number,
  broken: readonly Broken[],
): Promise<void> {
  const found = (await pipeline.rejects()).map(({ partition, offset, reason, message }) => ({
    place: Number(offset) * 2 + partition - from,
    reason,
    message,
  }))
  found.sort((a, b) => a.place - b.place)
  const expected = broken.map(([, reason, message], place) => ({
    place,
    reason,
    message: expect.stringMatching(new RegExp(`^${RegExp.escape(message)}`)) as unknown,
  }))
  expect(found).toEqual(expected as typeof found)
}

const cut = (bytes: Buffer, by = 1): Buffer => bytes.subarray(0, bytes.length - by)

test('Avro: records of two schemas as the job has them, and bytes that are none', async () => {
  const { first, second } = payments
  const whole = second({ at: T, card: 'c-9', amount: 1.5, country: 'FR' })
  const notUtf8 = Buffer.from(whole)
  notUtf8[notUtf8.indexOf('c-9')] = 0xff
  const rows = await play(
    'payments.ts',
    [
      first({ at: T, card: 'c-1', amount: 2.5 }),
      second({ at: T + 1, card: 'c-1', amount: 10.25, country: null }),
      second({ at: T + 2, card: 'c-2', amount: 3.01, country: 'DE' }),
      second({ at: T + 3, card: 'c-3', amount: 4, country: 'DE' }),
      byOthers.payment,
    ],
    [
      ['{"card":"c-1"}', 'decode', 'it does not begin with a schema id'],
      [framed(8, whole.subarray(5)), 'decode', 'schema 8 is none of those known: 7, 300'],
      [cut(whole), 'decode', 'truncated buffer'],
      [Buffer.concat([whole, Buffer.of(0)]), 'decode', 'trailing data'],
      [notUtf8, 'schema', 'card: '],
      [second({ at: T, card: 'c-1', amount: Number.NaN, country: null }), 'schema', 'amount: '],
    ],
  )
  expect(rows).toEqual([
    { country: 'DE', payments: 3, spent: 17.26, cards: 3 },
    { country: null, payments: 2, spent: 12.75, cards: 1 },
  ])
}, 60_000)

test('Protobuf: enums by their names, 64 bits, and bytes that are none', async () => {
  const whole = rideOf({ at: T, lift: 'north', way: 'UP', meters: 12.5 })
  const notUtf8 = Buffer.from(whole)
  notUtf8[notUtf8.indexOf('north')] = 0xff
  const another = Buffer.from(whole)
  // One index, which is 1: the second message of the file.
  another[5] = 2
  const rows = await play(
    'rides.ts',
    [
      whole,
      rideOf({ at: T + 1, lift: 'north', way: 'UP', meters: 1.5 }),
      rideOf({ at: T + 2, lift: 'north', way: 'DOWN', meters: 20 }),
      // No meters are 0 of them.
      rideOf({ at: T + 3, lift: 'south', way: 'UP' }),
      byOthers.ride,
    ],
    [
      ['{"lift":"north"}', 'decode', 'it does not begin with a schema id'],
      [framed(1, whole.subarray(5)), 'decode', 'schema 1 is none of those known: 65536'],
      [another, 'decode', 'it is not the first message of its schema'],
      [cut(whole, 3), 'decode', 'index out of range'],
      [notUtf8, 'decode', 'The encoded data was not valid'],
      [rideOf({}), 'schema', 'at: '],
      [rideOf({ at: T, lift: 'north' }), 'schema', 'way: '],
      [rideOf({ at: 2 ** 60, lift: 'north', way: 'UP' }), 'schema', 'at: '],
    ],
  )
  expect(rows).toEqual([
    { lift: 'north', way: 'DOWN', rides: 1, meters: 20 },
    { lift: 'north', way: 'UP', rides: 2, meters: 14 },
    { lift: 'nörd', way: 'DOWN', rides: 1, meters: 12.5 },
    { lift: 'south', way: 'UP', rides: 1, meters: 0 },
  ])
}, 60_000)

test('text: a line a record, and bytes that are none', async () => {
  const rows = await play(
    'access.ts',
    ['/start 200 12', '/start 200 12', '/faq 404 3'],
    [
      [
        Buffer.from([0x2f, 0xff, 0x20, 0x31, 0x20, 0x32]),
        'decode',
        'The encoded data was not valid',
      ],
      ['/start', 'schema', 'status: '],
      ['/start 200 soon', 'schema', 'ms: '],
    ],
  )
  expect(rows).toMatchObject([
    { status: '200', ms: { p50: expect.closeTo(12, 0) as number } },
    { status: '404', ms: { p50: expect.closeTo(3, 0) as number } },
  ])
}, 60_000)

test.each([
  [
    'one that is not there',
    'http://127.0.0.1:1',
    'the schema registry at http://127.0.0.1:1 does not answer',
  ],
  [
    'one without the subject',
    null,
    'the schema registry answers 404 to /subjects/payments-value/versions',
  ],
])(
  'a registry that has no schemas is told of in one line: %s',
  async (_, url, message) => {
    const empty = startRegistry({})
    const file = join(folder, 'payments.ts')
    const child = Bun.spawn([process.execPath, join(root, 'supervisor/main.ts'), file], {
      env: { ...process.env, SCHEMA_REGISTRY_URL: url ?? empty.url },
      stdout: 'ignore',
      stderr: 'pipe',
    })
    const told = await new Response(child.stderr).text()
    expect(told).toBe(`supervisor: job file ${file} can't be loaded: ${message}\n`)
    expect(await child.exited).toBe(2)
    await empty.end()
  },
  30_000,
)
