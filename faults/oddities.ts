/**
 * Records of the shipped job's topic that no producer should send and some will, and what becomes of
 * each: the group in which it counts, or the reason for which it is rejected.
 */
import { student } from './student.ts'
import type { TestRecord } from './topic.ts'

export interface Oddity {
  /** The fault of the ladder that it belongs to. */
  fault: 'F37' | 'F39' | 'F40' | 'F41'
  what: string
  value: string | Buffer | null
  /** The reject's reason, or the group in which it counts. */
  becomes: string | { course: string }
  /** Kafka's own time of the record, epoch ms. */
  timestamp?: number
}

const LARGE_BYTES = 10 * 1024 * 1024

/** What Kafka must allow for them. */
export const ODDITIES_CONFIG = {
  'max.message.bytes': String(16 * 1024 * 1024),
  'message.timestamp.after.max.ms': '9223372036854775807',
}

type Making = Pick<Oddity, 'what' | 'value' | 'becomes'>

const counts = (course: string, what: string, value: Oddity['value']): Making => ({
  what,
  value,
  becomes: { course },
})
const rejected = (reason: string, what: string, value: Oddity['value']): Making => ({
  what,
  value,
  becomes: reason,
})
const group = (course: string): Making =>
  counts(course, `the group ${JSON.stringify(course)}`, student({ course }))

const withNumber = (field: string, digits: string) =>
  student({ [field]: 4711 }).replace(`"${field}":4711`, `"${field}":${digits}`)

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

const times = (): Making[] => [
  counts('1969', 'a time before 1970', student({ timestamp: -86_400.5, course: '1969' })),
  counts('1970', 'the time 0', student({ timestamp: 0, course: '1970' })),
  rejected('schema', 'a time without end', withNumber('timestamp', '1e400')),
  rejected('time', 'a time that no calendar has', withNumber('timestamp', '1e300')),
  rejected('future', 'the year 9999', student({ timestamp: 253_402_300_799 })),
]

/** By Kafka's clock and not by the record's own. */
const kafkaTimes = (): Oddity[] =>
  [0, 1, 253_402_300_799_000].map((timestamp) => {
    const course = `Kafka's time ${timestamp}`
    return { fault: 'F37', timestamp, ...counts(course, course, student({ course })) }
  })

const forms = (): Making[] => [
  rejected('null', 'a tombstone', null),
  rejected('json', 'nothing', ''),
  rejected('json', 'text', 'not JSON'),
  rejected('json', 'half a record', student().slice(0, 40)),
  rejected('json', 'a byte order mark', `\uFEFF${student()}`),
  rejected('json', 'two records', student() + student()),
  rejected('utf8', 'bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])),
  rejected('utf8', 'half a character', Buffer.from(student({ course: 'é' }), 'latin1')),
  rejected('schema', 'null as JSON', 'null'),
  rejected('schema', 'a list', '[]'),
  rejected('schema', 'a number', '42'),
  rejected('schema', 'a missing field', student({ course: undefined })),
  rejected('schema', 'text for a number', student({ lines_of_code: '12' })),
  rejected('json', '10 MB that are not JSON', 'x'.repeat(LARGE_BYTES)),
  counts('large', '10 MB', student({ course: 'large', notes: 'x'.repeat(LARGE_BYTES) })),
  counts(
    'deep',
    'a field 10,000 lists deep',
    student({ course: 'deep', notes: 0 }).replace('"notes":0', `"notes":${nested(10_000)}`),
  ),
  rejected('schema', 'nothing but nesting', nested(100_000)),
  counts(
    'last',
    'a field that comes twice: the last one counts, as everywhere',
    student({ course: 'last' }).replace('{', '{"course":"first",'),
  ),
]

const keys = (): Making[] => [
  group('__proto__'),
  group('constructor'),
  group('<script>alert(1)</script>'),
  group(`'; DROP TABLE students; --`),
  group('a\u0000b'),
  group('a|b,c"]["d'),
  group('\uFEFF'),
  group('𝕊tudents 👩🏽‍🎓'),
  group('\uFFFD'),
  group(''),
  rejected('group', 'half of a pair', student({ course: '?' }).replace('?', '\\ud800')),
  rejected('group', 'a group of 64 KB', student({ course: 'x'.repeat(64 * 1024) })),
  counts(
    'own',
    'a field __proto__',
    student({ course: 'own' }).replace('{', '{"__proto__":{"course":"theirs"},'),
  ),
]

const numbers = (): Making[] => [
  rejected('json', 'NaN', withNumber('cpu_usage_pct', 'NaN')),
  rejected('json', 'Infinity', withNumber('cpu_usage_pct', 'Infinity')),
  rejected('schema', 'less than nothing', student({ lines_of_code: -1 })),
  rejected('schema', 'half a line', student({ lines_of_code: 0.5 })),
  rejected('schema', 'a number without end', withNumber('cpu_usage_pct', '1e400')),
  rejected('value', 'more than a sum can hold', withNumber('cpu_usage_pct', '1e300')),
  rejected(
    'value',
    'more than a double can count',
    withNumber('lines_of_code', '9007199254740993'),
  ),
]

/** Times come first: no window can be closed before its partition's first record was counted. */
export function oddities(): Oddity[] {
  const of = (fault: Oddity['fault'], made: Making[]) => made.map((one) => ({ fault, ...one }))
  return [
    ...of('F37', times()),
    ...kafkaTimes(),
    ...of('F39', forms()),
    ...of('F40', keys()),
    ...of('F41', numbers()),
  ]
}

/** As they are sent, in their order, all into one partition. */
export const oddRecords = (list: readonly Oddity[], partition: number): TestRecord[] =>
  list.map(({ value, timestamp }) => ({
    value,
    partition,
    ...(timestamp === undefined ? {} : { timestamp }),
  }))
