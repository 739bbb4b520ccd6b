/**
 * Outcomes as a person reads them. Pure.
 */
import { beyond } from './beyond.ts'
import type { Fault, Outcome, Recovery } from './fault.ts'

const number = (value: number) => value.toLocaleString('en')
const ID_WIDTH = 5
const INDENT = ' '.repeat(ID_WIDTH + 2)

export const header = `${'id'.padEnd(ID_WIDTH)}  ${'verdict'.padEnd(7)}  ${'time'.padStart(7)}  ${'records'.padStart(9)}  fault`

/** A line, and below it how long recoveries took, what is worth a note, what was wrong. */
export function outcomeText(outcome: Outcome): string {
  const { id, ok, seconds, records, title, recoveries, notes, findings, log } = outcome
  const cells = [
    id.padEnd(ID_WIDTH),
    (ok ? 'ok' : 'FAILED').padEnd(7),
    `${seconds.toFixed(1)} s`.padStart(7),
    (records === null ? '–' : number(records)).padStart(9),
    title,
  ]
  const below = [
    ...slowestOf(recoveries).map(recoveryText),
    ...notes,
    ...peaksText(outcome.peaksMb),
    ...findings.map((finding) => `FOUND ${finding}`),
    ...(log === null ? [] : [`log: ${log}`]),
  ]
  return [cells.join('  '), ...below.map((line) => `${INDENT}${line}`)].join('\n')
}

/** The largest process of each kind, and what Redis grew by. */
function peaksText(peaksMb: Outcome['peaksMb']): string[] {
  const told = Object.entries(peaksMb).map(([name, mb]) => `${name} ${number(mb)}`)
  return told.length > 0 ? [`memory in MB at most: ${told.join(', ')}`] : []
}

/** Of the recoveries that were timed several times the longest, how many there were, their median. */
function slowestOf(
  recoveries: readonly Recovery[],
): (Recovery & { times: number; medianMs: number })[] {
  return [...Map.groupBy(recoveries, ({ what }) => what).values()].map((group) => {
    const sorted = group.toSorted((a, b) => a.ms - b.ms)
    const medianMs = sorted[Math.floor((sorted.length - 1) / 2)]!.ms
    return { ...sorted.at(-1)!, times: sorted.length, medianMs }
  })
}

function recoveryText(recovery: Recovery & { times: number; medianMs: number }): string {
  const { what, ms, withinMs, times, medianMs } = recovery
  const often = times > 1 ? `, the longest of ${times}, median ${number(medianMs)} ms` : ''
  const late = ms > withinMs ? '  SLOW' : ''
  return `${what}: ${number(ms)} ms of ${number(withinMs)}${often}${late}`
}

export function summaryText(outcomes: readonly Outcome[], skipped: readonly Fault[]): string {
  const failed = outcomes.filter(({ ok }) => !ok)
  const records = outcomes.reduce((sum, one) => sum + (one.records ?? 0), 0)
  const slow = outcomes.filter(({ recoveries }) => recoveries.some((r) => r.ms > r.withinMs))
  const counts = [
    `${outcomes.length - failed.length} passed`,
    `${failed.length} failed`,
    ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
  ]
  return [
    `${counts.join(', ')}; ${number(records)} records recomputed`,
    ...(slow.length > 0
      ? [`recoveries beyond their target: ${slow.map(({ id }) => id).join(', ')}`]
      : []),
    ...(failed.length > 0 ? [`failed: ${failed.map(({ id }) => id).join(', ')}`] : []),
  ].join('\n')
}

/** What there is, and what there is not. */
export function listText(faults: readonly Fault[]): string {
  const width = Math.max(...faults.map(({ id }) => id.length), ID_WIDTH)
  const indent = ' '.repeat(width + 2)
  const played = faults.map(({ id, title, holds, smoke }) =>
    [`${id.padEnd(width)}  ${title}${smoke ? '  [smoke]' : ''}`, `${indent}→ ${holds}`].join('\n'),
  )
  const others = beyond.map(({ title, reason }) =>
    [`${'–'.padEnd(width)}  ${title}`, `${indent}${reason}`].join('\n'),
  )
  return [...played, '', 'Not played on one machine:', ...others].join('\n')
}

/** The table of docs/faults.md. */
export function markdownTable(faults: readonly Fault[]): string {
  const rows = faults.map(({ id, title, holds, smoke, shippedJobOnly, setting }) => {
    const own = shippedJobOnly === true || setting?.job !== undefined ? '' : 'yes'
    return [id, title, holds, smoke ? 'yes' : '', own].map(escaped)
  })
  const head = ['fault', 'what is done', 'what must hold', 'in `check`', 'with `--job`']
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** As a cell of a table; what Markdown would take for emphasis is code. */
const escaped = (text: string): string =>
  text
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ')
    .replaceAll(/__\w+__/g, '`$&`')
