/**
 * The report and the progress as a person reads them.
 */
import type { Clock } from '../actors/clock.ts'
import type { Job } from '../actors/job.ts'
import type { Report } from './verify.ts'

const number = (value: number) => value.toLocaleString('en')

export function reportText(job: Job, report: Report, seconds: number): string {
  const { counts, totals, windows, differences } = report
  const rate = number(Math.round(report.records / Math.max(seconds, 0.001)))
  const count = (name: 'counted' | 'filtered' | 'late' | 'rejected') => {
    const differs = counts[name] === totals[name] ? '' : ` (the pipeline says ${totals[name]})`
    return `${name} ${number(counts[name])}${differs}`
  }
  const more = differences.total - differences.named.length
  return [
    `job ${job.name}, ${job.topics ? 'topics' : 'topic'} ${job.topic}: ${number(report.records)} records recomputed in ` +
      `${seconds.toFixed(1)} s (${rate}/s)`,
    ...report.partitions.map(
      ({ topic, partition, from, to, records }) =>
        `  ${job.topics ? `${topic}, ` : ''}partition ${partition}: offsets ${from} to ${to}, ${number(records)} records`,
    ),
    `  ${count('counted')}, ${count('filtered')}, ${count('late')}, ${count('rejected')}, ` +
      `unaccounted ${number(report.unaccounted)}`,
    ...(report.declaredLost > 0
      ? [
          `  declared lost ${number(report.declaredLost)}: Kafka had deleted them before they were read`,
        ]
      : []),
    `  windows compared: ${number(windows.closed)} closed, ${number(windows.open)} open, ` +
      `${number(windows.rows)} rows`,
    ...report.notes.map((note) => `  note: ${note}`),
    ...differences.named.map((text) => `  ${text}`),
    ...(more > 0 ? [`  … and ${number(more)} more differences`] : []),
    `lost ${number(report.lost)}, duplicated ${number(report.duplicated)}, wrong ${number(report.wrong)}`,
  ].join('\n')
}

const LIVE_EVERY_MS = 250
const PLAIN_EVERY_MS = 5_000

/** On a terminal a live line, otherwise a line now and then; `end` answers with the seconds. */
export function showProgress(clock: Clock, out: NodeJS.WriteStream = process.stderr) {
  const startedAt = clock.elapsed()
  const everyMs = out.isTTY ? LIVE_EVERY_MS : PLAIN_EVERY_MS
  let shownAt = startedAt
  return {
    show(records: number): void {
      const at = clock.elapsed()
      if (at - shownAt < everyMs) return
      shownAt = at
      const rate = Math.round((records * 1_000) / (at - startedAt))
      const text = `read ${number(records)} records, ${number(rate)}/s`
      out.write(out.isTTY ? `\r\x1b[2K${text}` : `${text}\n`)
    },
    end(): number {
      if (out.isTTY) out.write('\r\x1b[2K')
      return (clock.elapsed() - startedAt) / 1_000
    },
  }
}

/** While the pipeline still works: a live line on a terminal, nothing otherwise. */
export function showWaiting(out: NodeJS.WriteStream = process.stderr) {
  const write = (text: string) => void (out.isTTY && out.write(`\r\x1b[2K${text}`))
  return {
    show: (records: number) => write(`waiting for ${number(records)} records to be processed`),
    end: () => write(''),
  }
}
