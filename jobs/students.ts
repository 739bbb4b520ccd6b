/** Students' coding activity: lines of code and CPU use per course and activity. */
import { avg, count, defineJob, sum } from 'millrace'
import * as v from 'valibot'

export const students = {
  name: 'students',
  topic: 'cs_student_logs',
  schema: v.looseObject({
    timestamp: v.pipe(v.number(), v.finite()),
    student_id: v.string(),
    student_name: v.string(),
    course: v.string(),
    activity: v.string(),
    tool_used: v.string(),
    lines_of_code: v.pipe(v.number(), v.integer(), v.minValue(0)),
    last_error: v.nullable(v.string()),
    cpu_usage_pct: v.pipe(v.number(), v.finite()),
  }),
  eventTime: (record: { timestamp: number }) => record.timestamp * 1000,
  watermarkDelay: '1 minute',
  window: { size: '10 s', slide: '5 s' },
  groupBy: ['course', 'activity'],
  aggregates: {
    total_loc: sum('lines_of_code'),
    avg_cpu: avg('cpu_usage_pct'),
    events: count(),
  },
} as const

export default defineJob(students)
