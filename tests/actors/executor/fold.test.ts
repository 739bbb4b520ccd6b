import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { bounds } from '../../../actors/config.ts'
import { Fold, type Verdict } from '../../../actors/executor/fold.ts'
import type { RejectReason } from '../../../actors/executor/reasons.ts'
import { RecordCursor } from '../../../actors/executor/records.ts'
import { avg, count, defineJob, type Job, max, min, sum } from '../../../actors/job.ts'
import { readValue } from '../../../actors/windows/aggregates.ts'
import { encodeBatch } from '../../support/batches.ts'

const NOW = 1_700_000_000_000

const job = defineJob({
  name: 'fold',
  topic: 'records',
  schema: v.looseObject({ at: v.number(), who: v.any(), x: v.nullish(v.number()) }),
  filter: (record) => record.who !== 'nobody',
  eventTime: (record) => record.at,
  window: { size: '10 s', slide: '5 s' },
  groupBy: ['who'],
  aggregates: { n: count(), total: sum('x'), mean: avg('x'), least: min('x'), most: max('x') },
})

interface FoldOptions {
  job?: Job
  verdict?: Partial<Verdict>
  now?: number
}

/** Folds values as the executor does without `work`; a string is JSON already. */
function fold(values: unknown[], options: FoldOptions = {}): Fold {
  const verdict = { closedTo: null, full: new Map<number, Set<string>>(), ...options.verdict }
  const folded = new Fold(options.job ?? job, verdict, () => options.now ?? NOW)
  folded.begin(3)
  const records = values.map((value, offset) => ({
    offset,
    value: typeof value === 'string' || value instanceof Buffer ? value : JSON.stringify(value),
  }))
  const cursor = new RecordCursor(encodeBatch(records), 0, records.length)
  for (let step = cursor.next(); step !== 'end'; step = cursor.next()) {
    const candidate = folded.check(cursor)
    if (candidate) folded.add(candidate, candidate.row, cursor)
  }
  return folded
}

const reasons = (folded: Fold) => folded.rejects.map(({ offset, reason }) => [offset, reason])
const counters = ({ counted, filtered, late, rejected, partly }: Fold) => ({
  counted,
  filtered,
  late,
  rejected,
  partly,
})
/** Pane start → group key → the first slot, which is the count. */
const groups = (folded: Fold) =>
  [...folded.panes.values()].flatMap(({ start, groups }) =>
    groups.map(({ key, cells }) => [start + 0, key, cells[0]]),
  )

describe('a record', () => {
  test('is counted in its pane and group, with each aggregate', () => {
    const folded = fold([
      { at: 1_000, who: 'ann', x: 1.5 },
      { at: 4_999.9, who: 'ann', x: -0.25 },
      { at: 5_000, who: 'ann', x: null },
      { at: 5_001, who: 'bob' },
    ])
    expect(groups(folded)).toEqual([
      [0, '["ann"]', 2],
      [5_000, '["ann"]', 1],
      [5_000, '["bob"]', 1],
    ])
    const cells = folded.panes.get(0)!.groups[0]!.cells
    const read = (index: number, slot: number) =>
      readValue(job.aggregates[index]!.aggregate, cells, slot)
    expect([read(0, 0), read(1, 1), read(2, 3), read(3, 6), read(4, 7)]).toEqual([
      2, 1.25, 0.625, -0.25, 1.5,
    ])
    expect(counters(folded)).toEqual({ counted: 4, filtered: 0, late: 0, rejected: 0, partly: 0 })
    expect(folded.maxEventTime).toBe(5_001)
  })

  test('that the filter refuses is filtered, and its event time still counts', () => {
    const folded = fold([{ at: 77_000, who: 'nobody' }])
    expect(counters(folded)).toMatchObject({ counted: 0, filtered: 1 })
    expect(folded.maxEventTime).toBe(77_000)
    expect(groups(folded)).toEqual([])
  })

  test('of years long before 1970 or after has its pane', () => {
    const folded = fold(
      [
        { at: -1, who: 1 },
        { at: -5_000, who: 1 },
        { at: -5_001, who: 1 },
        { at: 0, who: 1 },
        { at: -62_135_596_800_000, who: 1 }, // year 1
        { at: 253_402_300_799_999, who: 1 }, // the end of year 9999
      ],
      { now: 253_402_300_799_999 },
    )
    expect(groups(folded).map(([start]) => start)).toEqual([
      -5_000, -10_000, 0, -62_135_596_800_000, 253_402_300_795_000,
    ])
    expect(folded.rejected).toBe(0)
  })
})

describe('a record is rejected, with its reason, when it', () => {
  const cases: [string, string, unknown, RegExp][] = [
    ['is cut JSON', 'json', '{"at":1', /JSON/],
    ['is empty', 'json', '', /JSON/],
    ['begins with a byte order mark', 'json', '\uFEFF{"at":1,"who":1}', /JSON/],
    ['has NaN for a number', 'json', '{"at":NaN,"who":1}', /JSON/],
    ['is two values', 'json', '{"at":1,"who":1}{}', /JSON/],
    ['is not UTF-8', 'utf8', Buffer.from('{"at":1,"who":"\xff"}', 'latin1'), /not UTF-8/],
    ['is cut inside a character', 'utf8', Buffer.from('"é"').subarray(0, 2), /not UTF-8/],
    ['lacks a field', 'schema', { who: 1 }, /^at: /],
    ['is no object', 'schema', '[]', /^at: /],
    ['is null in JSON', 'schema', 'null', /Object/],
    ['has 1e400 for its time', 'time', '{"at":1e400,"who":1}', /event time Infinity is not a time/],
    ['has a time beyond all dates', 'time', { at: 8.7e15, who: 1 }, /8700000000000000/],
    ['has a time before all dates', 'time', { at: -8.7e15, who: 1 }, /is not a time/],
    ['is from the future', 'future', { at: NOW + 300_001, who: 1 }, /2023-11-14T22:18:20.001Z/],
    [
      'has a value too large',
      'value',
      { at: 1, who: 1, x: 4.6e9 },
      /^total: 4600000000 does not fit/,
    ],
    ['has 1e400 for a value', 'value', '{"at":1,"who":1,"x":1e400}', /^total: Infinity/],
    ['has an object as its group', 'group', { at: 1, who: {} }, /of type object/],
    ['has a list as its group', 'group', { at: 1, who: ['a'] }, /of type object/],
    ['has 1e400 as its group', 'group', '{"at":1,"who":1e400}', /Infinity/],
    ['has half of a surrogate pair', 'group', '{"at":1,"who":"\\ud800"}', /surrogate/],
    ['has a group of 5,000 bytes', 'group', { at: 1, who: 'é'.repeat(2_500) }, /longer than 4096/],
  ]
  test.each(cases)('%s: %s', (_, reason, value, message) => {
    const folded = fold([value, { at: 1, who: 'neighbour' }])
    expect(reasons(folded)).toEqual([[0, reason as RejectReason]])
    expect(folded.rejects[0]!.message).toMatch(message)
    expect(counters(folded)).toMatchObject({ counted: 1, rejected: 1 })
    expect(groups(folded)).toEqual([[0, '["neighbour"]', 1]])
    // Only what time could have decided otherwise is a verdict.
    expect([...folded.verdicts.keys()]).toEqual(reason === 'future' ? ['3|future'] : [])
  })

  test('has no value', () => {
    const folded = new Fold(job, { closedTo: null, full: new Map() }, () => NOW)
    const cursor = new RecordCursor(encodeBatch([{ offset: 9, key: 'k', value: null }]), 9, 10)
    cursor.next()
    expect(folded.check(cursor)).toBeNull()
    expect(reasons(folded)).toEqual([[9, 'null']])
    expect(folded.rejects[0]!.value).toHaveLength(0)
  })

  test('makes the job’s own code throw, wherever that is', () => {
    const throwing = (field: string) => (record: { at: number }) => {
      if (record.at === 13) throw new Error(`${field} does not like 13`)
      return 1
    }
    const base = {
      name: 'throwing',
      topic: 'records',
      schema: v.looseObject({ at: v.number() }),
      eventTime: (record: { at: number }) => record.at,
      window: { size: '10 s' },
      groupBy: [],
      aggregates: { n: count() },
    } as const
    const jobs = [
      defineJob({ ...base, eventTime: throwing('eventTime') }),
      defineJob({ ...base, filter: (record) => throwing('filter')(record) === 1 }),
      defineJob({ ...base, groupBy: { g: throwing('group') } }),
      defineJob({ ...base, aggregates: { n: count(), s: sum(throwing('sum')) } }),
      defineJob({
        ...base,
        schema: v.pipe(
          base.schema,
          v.check((record) => throwing('schema')(record) === 1),
        ),
      }),
    ]
    for (const job of jobs) {
      const folded = fold([{ at: 12 }, { at: 13 }, { at: 14 }], { job })
      expect(reasons(folded)).toEqual([[1, 'threw']])
      expect(folded.rejects[0]!.message).toEndWith('does not like 13')
      expect(folded.counted).toBe(2)
    }
  })

  test('names a group by a function that answers with nothing', () => {
    const nothing = defineJob({
      name: 'nothing',
      topic: 'records',
      schema: v.looseObject({ at: v.number() }),
      eventTime: (record) => record.at,
      window: { size: '10 s' },
      groupBy: { g: (record) => (record as { missing?: string }).missing as string },
      aggregates: { n: count() },
    })
    const folded = fold([{ at: 1 }], { job: nothing })
    expect(folded.rejects[0]).toMatchObject({
      reason: 'group',
      message: 'a group value is missing',
    })
  })
})

describe('rejects', () => {
  test('keep the beginning of the bytes, and not the buffer that they came in', () => {
    const value = Buffer.from(`{"at":${'1'.repeat(5_000)}x`)
    const { value: kept } = fold([value]).rejects[0]!
    expect(kept).toEqual(value.subarray(0, bounds.rejectValueBytesMax))
    expect(kept.buffer.byteLength).toBeLessThan(64 * 1024)
  })

  test('of a message of many lines have one', () => {
    const message = fold(['{"at":\n\n\n oops}']).rejects[0]!.message
    expect(message).not.toContain('\n')
  })
})

describe('group values', () => {
  test('of every kind are told apart', () => {
    const who = ['1', 1, true, 'true', null, 'null', '', '[]', 0, false, '["a"]', 'a']
    const folded = fold(who.map((value) => ({ at: 1, who: value })))
    expect(groups(folded)).toEqual(who.map((value) => [0, JSON.stringify([value]), 1]))
  })

  test('that are one to JSON are one group', () => {
    expect(groups(fold(['{"at":1,"who":0}', '{"at":1,"who":-0}', '{"at":1,"who":0.0}']))).toEqual([
      [0, '[0]', 3],
    ])
    expect(groups(fold(['{"at":1,"who":"é"}', '{"at":1,"who":"\\u00e9"}']))).toEqual([
      [0, '["é"]', 2],
    ])
  })

  test('may be the names that objects have by themselves, or hold NUL and separators', () => {
    const who = [
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'a\u0000b',
      '|',
      ':',
      '\n',
      '😀',
    ]
    const folded = fold([...who, ...who].map((value) => ({ at: 1, who: value })))
    expect(groups(folded)).toEqual(who.map((value) => [0, JSON.stringify([value]), 2]))
  })

  test('keep 2⁵³ + 1 as the number that JavaScript reads, the same every time', () => {
    const folded = fold(['{"at":1,"who":9007199254740993}', '{"at":1,"who":9007199254740992}'])
    expect(groups(folded)).toEqual([[0, '[9007199254740992]', 2]])
  })

  test('of several fields nest, and those of none are one group', () => {
    const base = {
      name: 'nested',
      topic: 'records',
      schema: v.looseObject({ a: v.any(), b: v.any() }),
      eventTime: () => 1,
      window: { size: '10 s' },
      aggregates: { n: count() },
    } as const
    const records = [
      { a: 'x', b: 'y' },
      { a: 'x', b: 'z' },
      { a: 'y', b: 'x' },
      { a: 'x', b: 'y' },
    ]
    const pairs = fold(records, { job: defineJob({ ...base, groupBy: ['a', 'b'] }) })
    expect(groups(pairs)).toEqual([
      [0, '["x","y"]', 2],
      [0, '["x","z"]', 1],
      [0, '["y","x"]', 1],
    ])
    expect(groups(fold(records, { job: defineJob({ ...base, groupBy: [] }) }))).toEqual([
      [0, '[]', 4],
    ])
  })

  test.each(['__proto__', 'constructor', 'toString'])(
    'of a field %s come from the record, not from its prototype',
    (field) => {
      const odd = defineJob({
        name: 'odd',
        topic: 'records',
        schema: v.unknown(),
        eventTime: () => 1,
        window: { size: '10 s' },
        groupBy: { [field]: (record) => (record as Record<string, string>)[field]! },
        aggregates: { n: count() },
      })
      const folded = fold([`{"${field}":"mine"}`, '{}'], { job: odd })
      expect(groups(folded)).toEqual([[0, '["mine"]', 1]])
      expect(reasons(folded)).toEqual([[1, 'group']])
    },
  )
})

describe('nesting of 10,000 levels', () => {
  const deep = '['.repeat(10_000) + ']'.repeat(10_000)
  test('in a field that nobody looks at is no reason to refuse', () => {
    expect(counters(fold([`{"at":1,"who":1,"more":${deep}}`]))).toMatchObject({ counted: 1 })
  })
  test('in a group value is rejected', () => {
    expect(reasons(fold([`{"at":1,"who":${deep}}`]))).toEqual([[0, 'group']])
  })
  test('without an end is not JSON', () => {
    expect(reasons(fold(['['.repeat(200_000)]))).toEqual([[0, 'json']])
  })
})

describe('windows that are closed', () => {
  //  closedTo = 20 s        10   15   20   25
  //  windows                 [ closed )
  //                               [ open  )
  //  panes                  |late|part|live|
  test('make records late, partly late or neither', () => {
    const folded = fold(
      [14_999, 15_000, 19_999, 20_000].map((at) => ({ at, who: 'a' })),
      { verdict: { closedTo: 20_000 } },
    )
    expect(counters(folded)).toEqual({ counted: 3, filtered: 0, late: 1, rejected: 0, partly: 2 })
    expect(folded.rejects).toMatchObject([
      {
        partition: 3,
        offset: 0,
        reason: 'late',
        message:
          'event time 1970-01-01T00:00:14.999Z: its windows closed up to 1970-01-01T00:00:20.000Z',
      },
    ])
    expect([...folded.verdicts]).toEqual([
      ['3|late', [0]],
      ['3|partly', [1, 2]],
    ])
  })

  test('make no late records of filtered ones', () => {
    const folded = fold([{ at: 1, who: 'nobody' }], { verdict: { closedTo: 20_000 } })
    expect(counters(folded)).toMatchObject({ filtered: 1, late: 0 })
  })
})

test('groups that do not fit are rejected, in their pane only', () => {
  const full = new Map([[0, new Set(['["new"]'])]])
  const folded = fold(
    [
      { at: 1, who: 'new' },
      { at: 2, who: 'old' },
      { at: 5_000, who: 'new' },
      { at: 3, who: 'new' },
    ],
    { verdict: { full } },
  )
  expect(reasons(folded)).toEqual([
    [0, 'groups'],
    [3, 'groups'],
  ])
  expect([...folded.verdicts]).toEqual([['3|groups', [0, 3]]])
  expect(groups(folded)).toEqual([
    [0, '["old"]', 1],
    [5_000, '["new"]', 1],
  ])
})

test('a rejected record leaves nothing of its values in another', () => {
  const folded = fold([
    { at: 1, who: 'a', x: 1 },
    { at: 1, who: {}, x: 100 },
    { at: 1, who: 'a', x: 1e300 },
    { at: 1, who: 'a' },
  ])
  expect([...folded.panes.get(0)!.groups[0]!.cells]).toEqual([2, 0, 1e6, 1, 0, 1e6, 1, 1])
})
