/**
 * One record of the shipped job as JSON text, with fields of one's own.
 */
import { systemClock } from '../actors/clock.ts'

export type Fields = Record<string, unknown>

export function student(fields: Fields = {}): string {
  return JSON.stringify({
    timestamp: systemClock.now() / 1_000,
    student_id: 'CS-2023417',
    student_name: 'Ada',
    course: 'Linear Algebra',
    activity: 'coding',
    tool_used: 'Git',
    lines_of_code: 12,
    last_error: null,
    cpu_usage_pct: 50,
    ...fields,
  })
}
