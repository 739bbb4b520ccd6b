import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { avg, count, defineJob, type Job, max, min, sum } from '../../actors/job.ts'
import { Recount, type Ruling } from '../../verify/recount.ts'

const AT = 1_760_000_000_000
const schema = v.looseObject({ t: v.number(), g: v.unknown(), x: v.optional(v.unknown()) })
type Row = v.InferOutput<typeof schema>

const declaration = {
  name: 'recount',
  topic: 'recount',
  schema,
  eventTime: ({ t }: Row) => t,
  watermarkDelay: '10 s',
  window: { size: '10 s', slide: '5 s' },
  groupBy: { g: ({ g }: Row) => g as string },
  aggregates: {
    n: count(),
    total: sum(({ x }: Row) => x as number),
    mean: avg(({ x }: Row) => x as number, { decimals: 2 }),
    least: min(({ x }: Row) => x as number),
    most: max(({ x }: Row) => x as number),
  },
} as const
const job = defineJob(declaration)

/** Records of partition 0 at offsets 0, 1, … through a recount. */
async function recount(
  values: (string | Buffer | null | object)[],
  rulings: Record<number, Partial<Ruling>> = {},
  of: Job = job,
) {
  const known = Object.entries(rulings).map(
    ([offset, ruling]) =>
      [Number(offset), { reason: 'late', closedTo: null, at: AT, ...ruling }] as const,
  )
  const result = new Recount(of, new Map([[0, new Map(known)]]), AT)
  const records = values.map((value, offset) => ({ partition: 0, offset, value: bytes(value) }))
  await result.take(records)
  result.finish()
  return result
}

function bytes(value: string | Buffer | null | object): Buffer | null {
  if (value === null || Buffer.isBuffer(value)) return value
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

test('the rows of a record count together or not at all, and know what Kafka says of it', async () => {
  const flat = defineJob({
    name: 'flat',
    topic: 'recount',
    schema: v.object({ items: v.array(v.object({ g: v.nullish(v.string()), x: v.number() })) }),
    eventTime: 'kafka',
    window: { size: '10 s' },
    flatMap: ({ items }, { key }) => items.map((item) => ({ ...item, key })),
    groupBy: { g: (item) => item.g as string },
    aggregates: ({ count, sum, last }) => ({ n: count(), x: sum('x'), key: last('key') }),
  })
  const result = new Recount(flat, new Map(), AT)
  const record = (offset: number, items: unknown, key: string | null = null, timestamp = '5') => ({
    partition: 0,
    offset,
    value: bytes({ items }),
    told: { key: key === null ? null : Buffer.from(key), timestamp },
  })
  await result.take([
    record(
      0,
      [
        { g: 'a', x: 1 },
        { g: 'b', x: 2 },
        { g: 'a', x: 3 },
      ],
      'k0',
    ),
    record(1, []),
    record(2, [{ g: 'a', x: 1 }, { x: 1 }]),
    record(3, [
      { g: 'a', x: 1 },
      { g: 'a', x: 1e300 },
    ]),
    record(4, [{ g: 'a', x: 1 }], null, '-1'),
    record(5, Array(1_001).fill({ g: 'a', x: 1 })),
  ])
  expect(result.counts).toMatchObject({ counted: 1, filtered: 1, rejected: 4 })
  expect(rowsOf(result, 0)).toEqual([
    { g: 'a', n: 2, x: 4, key: 'k0' },
    { g: 'b', n: 1, x: 2, key: 'k0' },
  ])
})

test('bytes that are no JSON are read by the job', async () => {
  const plain = defineJob({
    ...declaration,
    decode: (bytes) => {
      if (bytes.length > 3) throw new Error('too long')
      return { t: 1, g: Buffer.from(bytes).toString(), x: bytes.length }
    },
  })
  const result = await recount(['a', 'bc', 'bc', 'long', null], {}, plain)
  expect(result.counts).toMatchObject({ counted: 3, rejected: 2 })
  expect(rowsOf(result, 0)).toMatchObject([
    { g: 'a', n: 1 },
    { g: 'bc', n: 2, total: 4 },
  ])
})

const rowsOf = (result: Recount, start: number) =>
  [...result.expected.rows(start).values()].map(({ key, values }) => ({ ...key, ...values }))

describe('windows', () => {
  /*      0     5    10    15
   *      |--a--|--b-|     |       a: x = 1, 2   b: x = 4
   *  [-5, 5)   [0, 10)   [5, 15)
   */
  test('hold the records of their panes', async () => {
    const result = await recount([
      { t: 1_000, g: 'a', x: 1 },
      { t: 4_999, g: 'a', x: 2 },
      { t: 5_000, g: 'a', x: 4 },
    ])
    expect(result.expected.windows()).toEqual([-5_000, 0, 5_000])
    expect(rowsOf(result, -5_000)).toEqual([
      { g: 'a', n: 2, total: 3, mean: 1.5, least: 1, most: 2 },
    ])
    expect(rowsOf(result, 0)).toEqual([{ g: 'a', n: 3, total: 7, mean: 2.33, least: 1, most: 4 }])
    expect(rowsOf(result, 5_000)).toEqual([{ g: 'a', n: 1, total: 4, mean: 4, least: 4, most: 4 }])
    expect(result.counts).toMatchObject({ counted: 3, filtered: 0, late: 0, rejected: 0 })
  })

  test('keep groups of different types apart, and leave out null numbers', async () => {
    const result = await recount([
      { t: 0, g: 1 },
      { t: 0, g: '1', x: null },
      { t: 0, g: true, x: -0 },
      { t: 0, g: null, x: 3 },
    ])
    expect(rowsOf(result, 0)).toEqual([
      { g: 1, n: 1, total: 0, mean: null, least: null, most: null },
      { g: '1', n: 1, total: 0, mean: null, least: null, most: null },
      { g: true, n: 1, total: 0, mean: 0, least: 0, most: 0 },
      { g: null, n: 1, total: 3, mean: 3, least: 3, most: 3 },
    ] as never[])
  })

  test('before the epoch are cut like those behind it', async () => {
    const result = await recount([{ t: -1, g: 'a', x: 1 }])
    expect(result.expected.windows()).toEqual([-10_000, -5_000])
  })
})

describe('rejected', () => {
  test.each([
    ['a tombstone', null],
    ['nothing', ''],
    ['no JSON', '{"t":1,'],
    ['a byte order mark', '\uFEFF{"t":1,"g":"a"}'],
    ['broken UTF-8', Buffer.from([...Buffer.from('{"t":1,"g":"a'), 0xff, 0x22, 0x7d])],
    ['what the schema refuses', { t: 'now', g: 'a' }],
    ['an event time that is none', '{"t":1e400,"g":"a"}'],
    ['an event time beyond dates', { t: 8.64e15 + 1, g: 'a' }],
    ['a number that does not fit', { t: 1, g: 'a', x: 4.6e9 }],
    ['a number that is text', { t: 1, g: 'a', x: '5' }],
    ['a group without value', { t: 1, g: undefined }],
    ['a group that is an object', { t: 1, g: {} }],
    ['half a surrogate pair', '{"t":1,"g":"\\ud800"}'],
    ['a group of more than 4096 bytes', { t: 1, g: 'é'.repeat(2_047) }],
  ])('%s', async (_, value) => {
    const result = await recount([value])
    expect(result.counts).toMatchObject({ counted: 0, rejected: 1 })
    expect(result.contradictionsTotal).toBe(0)
    expect(result.expected.windows()).toEqual([])
  })

  test("what the job's code throws at, and nothing else", async () => {
    const throwing = defineJob({
      ...declaration,
      concurrency: 4,
      work: async (row) => {
        await Bun.sleep(1)
        if (row.x === 2) throw new Error('two')
        return { ...row, x: Number(row.x) * 10 }
      },
      filter: (row) => row.x !== 30,
    })
    const values = [1, 2, 3, 4].map((x) => ({ t: 1, g: 'a', x }))
    const result = await recount(values, {}, throwing)
    expect(result.counts).toMatchObject({ counted: 2, filtered: 1, rejected: 1 })
    expect(rowsOf(result, 0)).toMatchObject([{ total: 50 }])
  })
})

describe('rulings', () => {
  test('late: the record counts nowhere', async () => {
    const result = await recount(
      [
        { t: 40_000, g: 'a' },
        { t: 1_000, g: 'a' },
      ],
      { 1: { reason: 'late', closedTo: 30_000 } },
    )
    expect(result.counts).toMatchObject({ counted: 1, late: 1 })
    expect(result.expected.windows()).toEqual([35_000, 40_000])
    expect([result.contradictionsTotal, result.lateWithinDelay]).toEqual([0, 0])
  })

  test('partly: it counts in the windows that were open', async () => {
    const result = await recount(
      [
        { t: 17_000, g: 'a' },
        { t: 1_000, g: 'a' },
      ],
      { 1: { reason: 'partly', closedTo: 5_000 } },
    )
    expect(result.counts).toMatchObject({ counted: 2, partly: 1 })
    expect(result.expected.windows()).toEqual([0, 10_000, 15_000])
    expect(result.contradictionsTotal).toBe(0)
  })

  test('that can not be right are named', async () => {
    const record = { t: 1_000, g: 'a' }
    const wrongly = async (ruling: Partial<Ruling>, value: string | object = record) =>
      (await recount([value], { 0: ruling })).contradictions[0]
    expect(await wrongly({ reason: 'late', closedTo: 9_999 })).toContain('record 0/0')
    expect(await wrongly({ reason: 'partly', closedTo: 4_999 })).toContain('partly')
    expect(await wrongly({ reason: 'future' })).toContain('rejected as future')
    expect(await wrongly({ reason: 'late', closedTo: 99_000 }, 'not JSON')).toContain(
      'not readable',
    )
    expect(await wrongly({ reason: 'groups' })).toContain('said to be full with 0 groups')
  })

  test('late within the delay of its own partition is noticed', async () => {
    const result = await recount(
      [
        { t: 12_000, g: 'a' },
        { t: 9_000, g: 'a' },
      ],
      { 1: { reason: 'late', closedTo: 20_000 } },
    )
    expect(result.lateWithinDelay).toBe(1)
  })

  test('future: by the clock of then, and never believed for the past', async () => {
    const ahead = { t: AT + 10 * 60_000, g: 'a' }
    const ruled = await recount([ahead], { 0: { reason: 'future' } })
    expect([ruled.counts.rejected, ruled.contradictionsTotal]).toEqual([1, 0])
    const unruled = await recount([ahead])
    expect([unruled.counts.rejected, unruled.contradictionsTotal]).toEqual([1, 1])
  })

  test('poison: the record need not even be read', async () => {
    const result = await recount(['not JSON'], { 0: { reason: 'poison' } })
    expect([result.counts.rejected, result.contradictionsTotal]).toEqual([1, 0])
  })

  test('replayed: it was rejected, whatever the job says of it by now', async () => {
    const result = await recount([{ t: 1_000, g: 'a' }], { 0: { reason: 'replayed' } })
    expect([result.counts.rejected, result.contradictionsTotal]).toEqual([1, 0])
  })

  test('hung: its work is not run, and what work never sees is not believed to hang', async () => {
    const seen: unknown[] = []
    const work = (row: Row) => (seen.push(row.g), row)
    const slow = defineJob({ ...declaration, work })
    const records = [{ t: 1_000, g: 'a' }, { t: 1_000, g: 'b' }, 'not JSON']
    const rulings = { 1: { reason: 'hung' }, 2: { reason: 'hung' } }
    const result = await recount(records, rulings, slow)
    expect(seen).toEqual(['a'])
    expect(result.counts).toMatchObject({ counted: 1, rejected: 2 })
    expect(result.contradictions).toEqual(['record 0/2: not readable, yet it was called hung'])
  })
})
