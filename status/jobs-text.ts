/** What `bun run jobs` prints: a row a job. Pure. */
import { number, plural, span } from '../supervisor/figures.ts'
import type { JobReport, JobsReport } from '../supervisor/jobs.ts'
import { columnsOf } from './lines.ts'

const head = [
  'job',
  'state',
  'in/s',
  'out/s',
  'waiting',
  'in Kafka',
  'executors',
  'p99',
  'page',
] as const
/** Columns of numbers, to the right. */
const numbers = [2, 3, 4, 5, 7]

export function jobsText({ jobs, more }: JobsReport): string {
  if (jobs.length === 0) return 'no job has run on this Redis yet: bun run supervisor\n'
  const rows = columnsOf([head, ...jobs.map(cells)], numbers)
  const reasons = jobs.flatMap(({ job, reason, state }) =>
    reason === null || state === 'stopped' ? [] : [`${job}: ${reason}`],
  )
  // A column, so that reasons are escaped as rows are.
  const notes = columnsOf(
    reasons.map((reason) => [reason]),
    [],
  )
  const rest = more > 0 ? [`and ${plural(more, 'more job')}`] : []
  return [...rows, ...rest, ...notes].map((line) => `${line}\n`).join('')
}

function cells(one: JobReport): string[] {
  const { executors, rates, backlog, latencyMs } = one
  return [
    one.job,
    one.state,
    known(rates.inPerSecond, number),
    known(rates.outPerSecond, number),
    known(backlog.records, number),
    known(backlog.kafkaLag, number),
    `${executors.count ?? '–'} of ${executors.min} to ${executors.max}`,
    known(latencyMs.p99, span),
    one.page ?? '–',
  ]
}

const known = (value: number | null, text: (value: number) => string): string =>
  value === null ? '–' : text(value)
