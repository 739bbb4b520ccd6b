/**
 * Expected against found: rows of windows, and the counters. Each difference has a name. Pure.
 *
 *   lost        records that a window should hold and does not, summed over the windows' rows
 *   duplicated  records that a window holds beyond those it should
 *   wrong       everything else that differs: a value, a counter, a window that closed twice
 */
import type { Job } from '../actors/job.ts'
import { amiss, conserved, conservedOf, type Finding, findingText, wrong } from './checks.ts'
import type { ExpectedRow } from './expected.ts'
import type { Totals } from './pipeline.ts'
import type { ExpectedSession } from './sessions.ts'
import { type Counts, time } from './recount.ts'
import type { FoundRow, FoundValue } from './rows.ts'
import { type Top, topProblem } from './sketches.ts'
import type { Expectation, Tally } from './states.ts'

/** How many differences are named; all are counted. */
const NAMED_MAX = 20

/** Collects differences: all in number, the first by name. */
export class Differences {
  lost = 0
  duplicated = 0
  wrong = 0
  total = 0
  readonly named: string[] = []

  add(findings: Iterable<Finding>): void {
    for (const finding of findings) {
      this[finding.kind] += finding.amount
      this.total++
      if (this.named.length < NAMED_MAX) this.named.push(findingText(finding))
    }
  }
}

/** One window's rows; `found` holds rows of this window only. */
export function compareWindow(
  job: Job,
  start: number,
  expected: Map<string, ExpectedRow>,
  found: readonly FoundRow[],
): Finding[] {
  const differences: Finding[] = []
  const seen = new Set<string>()
  for (const row of found) {
    const key = JSON.stringify(job.groups.map(({ name }) => row.key[name]))
    const wanted = expected.get(key)
    const where = placeOf(job, start, row.key)
    if (row.end !== start + job.windowSizeMs) {
      differences.push(wrong('C3', `${where}: the window ends at ${time(row.end)}`))
    }
    if (!wanted || seen.has(key)) {
      const amount = recordsOf(job, row.values) ?? 1
      const what = seen.has(key) ? 'the row is there twice' : 'the row should not be there'
      differences.push(amiss('C3', amount, `${where}: ${what}`))
    } else {
      differences.push(...compareRow(job, where, wanted, row.values))
    }
    seen.add(key)
  }
  for (const [key, { records, key: group }] of expected) {
    if (seen.has(key)) continue
    const text = `${placeOf(job, start, group)}: the row is missing, ${records} records`
    differences.push(amiss('C3', -records, text))
  }
  return differences
}

/** Sessions; each is known by its group and its bounds. */
export function compareSessions(
  job: Job,
  expected: readonly ExpectedSession[],
  found: readonly FoundRow[],
): Finding[] {
  const differences: Finding[] = []
  const nameOf = ({ start, end, key }: Pick<FoundRow, 'start' | 'end' | 'key'>) =>
    JSON.stringify([start, end, ...job.groups.map(({ name }) => key[name])])
  const placeOfOne = ({ start, end, key }: Pick<FoundRow, 'start' | 'end' | 'key'>) =>
    `${placeOf(job, start, key)} to ${time(end)}`
  const wanted = new Map(expected.map((session) => [nameOf(session), session]))
  const seen = new Set<string>()
  for (const row of found) {
    const name = nameOf(row)
    const session = wanted.get(name)
    if (session && !seen.has(name)) {
      differences.push(...compareRow(job, placeOfOne(row), session, row.values))
    } else {
      const what = seen.has(name) ? 'the session is there twice' : 'the session should not be there'
      const amount = recordsOf(job, row.values) ?? 1
      differences.push(amiss('C3', amount, `${placeOfOne(row)}: ${what}`))
    }
    seen.add(name)
  }
  for (const [name, session] of wanted) {
    if (seen.has(name)) continue
    const text = `${placeOfOne(session)}: the session is missing, ${session.records} records`
    differences.push(amiss('C3', -session.records, text))
  }
  return differences
}

function compareRow(
  job: Job,
  where: string,
  expected: ExpectedRow,
  found: FoundRow['values'],
): Finding[] {
  const told = job.aggregates.flatMap(({ name }) => {
    const problem = problemOf(found[name] ?? null, expected.values[name] ?? null)
    return problem === null ? [] : [`${name} ${problem}`]
  })
  if (told.length === 0) return []
  const text = `${where}: ${told.join('; ')}`
  const more = (recordsOf(job, found) ?? expected.records) - expected.records
  return [more === 0 ? wrong('C3', text) : amiss('C3', more, text)]
}

/** What is wrong with a value; null where it is as it should be, or within what its kind promises. */
export function problemOf(found: FoundValue, expected: Expectation): string | null {
  if (isCounted(expected)) {
    return isTop(found) ? topProblem(found, expected.counts) : `is ${textOf(found)}`
  }
  if (found === expected || Bun.deepEquals(found, expected)) return null
  return `is ${textOf(found)}, should be ${textOf(expected)}`
}

const isCounted = (value: Expectation): value is { counts: Tally } =>
  typeof value === 'object' && value !== null && 'counts' in value && value.counts instanceof Map

const isTop = (value: FoundValue): value is Top =>
  typeof value === 'object' &&
  value !== null &&
  'counters' in value &&
  value.counters instanceof Map

const textOf = (value: FoundValue | Expectation): string =>
  typeof value === 'object' ? JSON.stringify(value) : String(value)

/** How many records a row is made of; null where the job has no aggregate that says so. */
function recordsOf(job: Job, values: FoundRow['values']): number | null {
  const counting = job.aggregates.find(({ aggregate }) => aggregate.kind === 'count')
  return counting ? ((values[counting.name] as number | undefined) ?? null) : null
}

/**
 * C1: what the pipeline's counters say against the topic's records. `now` are the whole counters
 * where `totals` are those since a moment.
 */
export function compareCounts(counts: Counts, totals: Totals, now = totals): Finding[] {
  const records = counts.counted + counts.filtered + counts.late + counts.rejected
  const names = ['counted', 'filtered', 'late', 'rejected', 'partly'] as const
  const differing = names.filter((name) => counts[name] !== totals[name])
  return [
    ...differing.map((name) =>
      wrong('C1', `${name}: the pipeline says ${totals[name]}, the topic ${counts[name]}`),
    ),
    ...conservedOf(totals, records),
    ...conserved(now),
  ]
}

function placeOf(job: Job, start: number, key: FoundRow['key']): string {
  const group = job.groups.map(({ name }) => `${name}=${JSON.stringify(key[name])}`)
  return `window ${time(start)} ${group.join(' ')}`.trimEnd()
}
