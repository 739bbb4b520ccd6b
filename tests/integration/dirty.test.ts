/**
 * Dirty data: whatever can be in a topic is either in a window or in the rejects with its reason;
 * nothing is lost, nothing crashes, and what is hostile is shown as the text that it is.
 */
import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { recordMaker } from '../../actors/producer/records.ts'
import studentsJob from '../../jobs/students.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'
import { student } from './student.ts'

const RECORDS = 10_000
const SEED = 4
const LARGE = 5 * 1024 * 1024

interface Case {
  what: string
  value: string | Buffer | null
  /** The reject's reason, or the group in which it counts. */
  becomes: string | { course: string }
}

const text = (course: string): Case => ({
  what: `the group ${JSON.stringify(course)}`,
  value: student({ course }),
  becomes: { course },
})
const rejected = (reason: string, what: string, value: Case['value']): Case => ({
  what,
  value,
  becomes: reason,
})
const withNumber = (field: string, digits: string) =>
  student({ [field]: 4711 }).replace(`"${field}":4711`, `"${field}":${digits}`)

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth)
}

const cases: Case[] = [
  // At offset 0: no window can be closed before its partition's first record was counted.
  {
    what: 'a time before 1970',
    value: student({ timestamp: -86_400.5, course: '1969' }),
    becomes: { course: '1969' },
  },
  rejected('null', 'a tombstone', null),
  rejected('json', 'nothing', ''),
  rejected('json', 'text', 'not JSON'),
  rejected('json', 'half a record', student().slice(0, 40)),
  rejected('json', 'a byte order mark', `\uFEFF${student()}`),
  rejected('json', 'two records', student() + student()),
  rejected('json', 'NaN', withNumber('cpu_usage_pct', 'NaN')),
  rejected('utf8', 'bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])),
  rejected('utf8', 'half a character', Buffer.from(student({ course: 'é' }), 'latin1')),
  rejected('schema', 'null as JSON', 'null'),
  rejected('schema', 'a list', '[]'),
  rejected('schema', 'a number', '42'),
  rejected('schema', 'a missing field', student({ course: undefined })),
  rejected('schema', 'text for a number', student({ lines_of_code: '12' })),
  rejected('schema', 'less than nothing', student({ lines_of_code: -1 })),
  rejected('schema', 'half a line', student({ lines_of_code: 0.5 })),
  rejected('schema', 'a time without end', withNumber('timestamp', '1e400')),
  rejected('schema', 'a number without end', withNumber('cpu_usage_pct', '1e400')),
  rejected('time', 'a time that no calendar has', withNumber('timestamp', '1e300')),
  rejected('future', 'the year 9999', student({ timestamp: 253_402_300_799 })),
  rejected('value', 'more than a sum can hold', withNumber('cpu_usage_pct', '1e300')),
  rejected(
    'value',
    'more than a double can count',
    withNumber('lines_of_code', '9007199254740993'),
  ),
  rejected('group', 'half of a pair', student({ course: '?' }).replace('?', '\\ud800')),
  rejected('group', 'a group of 64 KB', student({ course: 'x'.repeat(64 * 1024) })),
  rejected('json', '5 MB that are not JSON', 'x'.repeat(LARGE)),
  text('__proto__'),
  text('constructor'),
  text('<script>alert(1)</script>'),
  text(`'; DROP TABLE students; --`),
  text('a\u0000b'),
  text('a|b,c"]["d'),
  text('\uFEFF'),
  text('𝕊tudents 👩🏽‍🎓'),
  text('\uFFFD'),
  text(''),
  {
    what: '5 MB',
    value: student({ course: 'large', notes: 'x'.repeat(LARGE) }),
    becomes: { course: 'large' },
  },
  {
    what: 'a field 10,000 lists deep',
    value: student({ course: 'deep', notes: 0 }).replace('"notes":0', `"notes":${nested(10_000)}`),
    becomes: { course: 'deep' },
  },
  rejected('schema', 'nothing but nesting', nested(100_000)),
  {
    what: 'a field __proto__',
    value: student({ course: 'own' }).replace('{', '{"__proto__":{"course":"theirs"},'),
    becomes: { course: 'own' },
  },
  {
    what: 'a field that comes twice: the last one counts, as everywhere',
    value: student({ course: 'last' }).replace('{', '{"course":"first",'),
    becomes: { course: 'last' },
  },
]

test(`${RECORDS} records, 1 % malformed, and ${cases.length} oddities: each has its place`, async () => {
  const topic = { partitions: 2, config: { 'max.message.bytes': String(16 * 1024 * 1024) } }
  await withPipeline({ label: 'dirty', job: 'students.ts', topic }, async (pipeline) => {
    await pipeline.begin()
    await pipeline.topic.produce(cases.map(({ value }) => ({ value, partition: 0 })))
    const { malformed, values } = records()
    await pipeline.topic.produce(values)
    const { totals } = await pipeline.drained()

    const wrong = cases.filter(({ becomes }) => typeof becomes === 'string').length
    expect(totals).toMatchObject({
      committed: RECORDS + cases.length,
      counted: RECORDS - malformed + cases.length - wrong,
      rejected: malformed + wrong,
      late: 0,
      filtered: 0,
      waiting: 0,
    })
    await expectPlaces(pipeline)
    expect((await pipeline.status()).totals.unaccounted).toBe(0)
    expect(await pipeline.verify()).toMatchObject({ ok: true, unaccounted: 0 })
    expect((await pipeline.snapshot()).actors.filter(({ state }) => state === 'dead')).toEqual([])
  })
}, 60_000)

async function expectPlaces(pipeline: Pipeline): Promise<void> {
  const rejects = await pipeline.rejects()
  const reasons = new Map(rejects.map((one) => [`${one.partition}:${one.offset}`, one]))
  const courses = new Set((await pipeline.windows()).map(({ key }) => key.course))
  const seen = cases.map(({ what, becomes }, offset) => {
    const reject = reasons.get(`0:${offset}`)
    if (typeof becomes === 'string') return { what, becomes: reject?.reason ?? 'counted' }
    return { what, becomes: courses.has(becomes.course) && !reject ? becomes : reject?.reason }
  })
  expect(seen).toEqual(cases.map(({ what, becomes }) => ({ what, becomes })))
  for (const { value } of rejects) expect(value.length).toBeLessThanOrEqual(1_024)

  const response = await pipeline.fetch(
    '/api/windows?limit=1000&course=%3Cscript%3Ealert(1)%3C%2Fscript%3E',
  )
  expect(response.headers.get('content-type')).toStartWith('application/json')
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  expect(((await response.json()) as { windows: unknown[] }).windows.length).toBe(2)
}

function records() {
  const options = { seed: SEED, malformed: 0.01, late: 0, outOfOrder: 0.1 }
  const { watermarkDelayMs, windowSizeMs } = studentsJob
  const make = recordMaker({ ...options, watermarkDelayMs, windowSizeMs })
  const values = Array.from({ length: RECORDS }, () => make(systemClock.now()))
  const malformed = values.filter(({ value }) => !isStudent(value)).length
  return { values: values.map(({ value }) => ({ value })), malformed }
}

function isStudent(value: string | Buffer | null): boolean {
  if (typeof value !== 'string') return false
  try {
    const record = JSON.parse(value) as { course?: string; lines_of_code?: unknown }
    return record.course !== undefined && typeof record.lines_of_code === 'number'
  } catch {
    return false
  }
}
