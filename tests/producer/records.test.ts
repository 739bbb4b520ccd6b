import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import studentsJob from '../../jobs/students.ts'
import {
  activities,
  courses,
  type ProducedRecord,
  type RecordOptions,
  recordMaker,
} from '../../actors/producer/records.ts'

const NOW = 1_760_000_000_123
const plain: RecordOptions = {
  seed: 1,
  malformed: 0,
  late: 0,
  outOfOrder: 0,
  watermarkDelayMs: studentsJob.watermarkDelayMs,
  windowSizeMs: studentsJob.windowSizeMs,
}

function make(count: number, options: Partial<RecordOptions> = {}): ProducedRecord[] {
  const next = recordMaker({ ...plain, ...options })
  return Array.from({ length: count }, (_, i) => next(NOW + i))
}

interface Student {
  timestamp: number
  student_id: string
  student_name: string
  course: string
  activity: string
  tool_used: string
  lines_of_code: number
  last_error: string | null
  cpu_usage_pct: number
}
const parse = ({ value }: ProducedRecord) => JSON.parse(String(value)) as Student
const fits = ({ value }: ProducedRecord): boolean => {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value ?? ''))
    return v.safeParse(studentsJob.schema, JSON.parse(text)).success
  } catch {
    return false
  }
}
/** How far behind the time at which it was made, in ms. */
const behind = (records: ProducedRecord[]) =>
  records.map((record, i) => NOW + i - Math.round(parse(record).timestamp * 1000))

describe('records', () => {
  test('are those of the shipped job, field by field', () => {
    const records = make(5_000)
    expect(records.every(fits)).toBe(true)
    const students = records.map(parse)
    for (const student of students) {
      expect(student.student_id).toMatch(/^CS-202[1-5]\d{3}$/)
      expect(courses as readonly string[]).toContain(student.course)
      expect(activities as readonly string[]).toContain(student.activity)
      expect(student.cpu_usage_pct).toBeGreaterThanOrEqual(10.5)
      expect(student.cpu_usage_pct).toBeLessThanOrEqual(95)
      expect(String(student.cpu_usage_pct)).toMatch(/^\d+(\.\d{1,2})?$/)
      if (student.activity === 'coding') {
        expect(student.lines_of_code).toBeGreaterThanOrEqual(5)
        expect(student.lines_of_code).toBeLessThanOrEqual(150)
      } else {
        expect(student.lines_of_code).toBe(0)
      }
      if (student.last_error !== null) {
        expect(['debugging', 'running_tests']).toContain(student.activity)
      }
    }
    expect(new Set(students.map((student) => student.student_name)).size).toBe(20)
    expect(new Set(students.map((student) => student.tool_used)).size).toBe(6)
    expect(new Set(students.map(({ course, activity }) => course + activity)).size).toBe(25)
    expect(students.some((student) => student.last_error !== null)).toBe(true)
  })

  test('have the student as their key, and one name for each student', () => {
    const names = new Map<string, string>()
    for (const record of make(20_000)) {
      const { student_id: id, student_name: name } = parse(record)
      expect(record.key).toBe(id)
      expect(names.get(id) ?? name).toBe(name)
      names.set(id, name)
    }
  })

  test('carry the time at which they were made, to the millisecond', () => {
    expect(behind(make(100)).every((ms) => ms === 0)).toBe(true)
  })

  test('are the same for the same seed and others for another', () => {
    const shares = { malformed: 0.1, late: 0.1, outOfOrder: 0.1 }
    expect(make(500, { seed: 7, ...shares })).toEqual(make(500, { seed: 7, ...shares }))
    expect(make(500, { seed: 7 })).not.toEqual(make(500, { seed: 8 }))
  })
})

describe('shares', () => {
  test('of malformed records are kept, of every kind', () => {
    const records = make(20_000, { malformed: 0.05 })
    const bad = records.filter((record) => !fits(record))
    expect(bad.length).toBeGreaterThan(850)
    expect(bad.length).toBeLessThan(1_150)
    expect(bad.some(({ value }) => value === null)).toBe(true)
    expect(bad.some(({ value }) => value === '')).toBe(true)
    expect(bad.some(({ value }) => Buffer.isBuffer(value))).toBe(true)
    expect(bad.some(({ value }) => typeof value === 'string' && value.endsWith('}'))).toBe(true)
  })

  test('of late records are older than delay and window', () => {
    const lags = behind(make(20_000, { late: 0.05 }))
    const late = lags.filter((ms) => ms > 0)
    expect(late.length).toBeGreaterThan(850)
    expect(late.length).toBeLessThan(1_150)
    expect(Math.min(...late)).toBeGreaterThan(plain.watermarkDelayMs + plain.windowSizeMs)
  })

  test('of records out of order stay within the delay', () => {
    const lags = behind(make(20_000, { outOfOrder: 0.2 }))
    const moved = lags.filter((ms) => ms > 0)
    expect(moved.length).toBeGreaterThan(3_700)
    expect(moved.length).toBeLessThan(4_300)
    expect(Math.max(...moved)).toBeLessThan(plain.watermarkDelayMs)
  })
})
