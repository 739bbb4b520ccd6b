/**
 * C1 to C8: what must hold of a pipeline, whatever is done to it. Each check takes plain data, from
 * wherever it comes (a simulation, a running pipeline, a recomputation), and answers with what it
 * found; nothing found is an empty list. Pure.
 *
 *   C1 conserved    every record is counted, filtered, late, rejected or declared lost
 *   C2 applied      the records applied are the topic's, by number and by hash
 *   C3 windows      each row equals the recomputed one, to the last digit        (compare.ts)
 *   C4 drained      nothing waits, nothing is left over, the ledger is at Kafka's end
 *   C5 monotone     nothing goes back; a closed window stays as it was closed    (closed-windows.ts)
 *   C6 staffed      executors within their limits, no process left behind
 *   C7 bounded      memory, waiting records and bytes, time in Redis, delays
 *   C8 told         each fault shows; the logs hold no broken promise and no secret
 */
export type Check = 'C1' | 'C2' | 'C3' | 'C4' | 'C5' | 'C6' | 'C7' | 'C8'

export interface Finding {
  check: Check
  /** Records that are missing, records too many, anything else. */
  kind: 'lost' | 'duplicated' | 'wrong'
  /** How many records, or one of anything else. */
  amount: number
  text: string
}

/** The pipeline's counters, as of one instant. */
export interface Counters {
  appended: number
  committed: number
  waiting: number
  counted: number
  filtered: number
  late: number
  rejected: number
}

/** C1, by the pipeline's own counters: appended = waiting + the four kinds. */
export function conserved(totals: Counters): Finding[] {
  const { appended, committed, waiting } = totals
  const found: Finding[] = []
  const kinds = kindsOf(totals)
  if (kinds !== committed) {
    found.push(wrong('C1', `${committed} records committed, but ${kinds} by their kinds`))
  }
  const unaccounted = unaccountedOf(totals)
  if (unaccounted !== 0) {
    const said = `appended ${appended}, committed ${committed}, waiting ${waiting}`
    found.push(wrong('C1', `${unaccounted} records are unaccounted: ${said}`))
  }
  if (waiting < 0) found.push(wrong('C1', `${waiting} records wait`))
  return found
}

/** C1, against the topic: what was committed and what was declared lost is all that it held. */
export function conservedOf(totals: Counters, records: number, declaredLost = 0): Finding[] {
  const kept = kindsOf(totals) + declaredLost
  if (kept === records) return []
  const lost = declaredLost > 0 ? ` and ${declaredLost} declared lost` : ''
  const text = `${records} records in the topic, ${kindsOf(totals)} committed${lost}`
  return [amiss('C1', kept - records, text)]
}

/** Appended records that are neither waiting nor in one of the four kinds; 0 or there is a bug. */
export const unaccountedOf = (totals: Counters): number =>
  totals.appended - totals.waiting - kindsOf(totals)

const kindsOf = ({ counted, filtered, late, rejected }: Counters) =>
  counted + filtered + late + rejected

/** A set of records: how many, and the sum of their hashes. */
export interface RecordSet {
  count: number
  hash: number
}

/** C2: `expected` by the topic, `applied` by the pipeline. */
export function applied(expected: RecordSet, found: RecordSet): Finding[] {
  if (found.count !== expected.count) {
    const text = `${expected.count} records should be applied, ${found.count} are`
    return [amiss('C2', found.count - expected.count, text)]
  }
  if (found.hash === expected.hash) return []
  const text = `${found.count} records are applied, but not those of the topic`
  return [wrong('C2', `${text}: hash ${found.hash}, should be ${expected.hash}`)]
}

/** What a pipeline holds at one instant. */
export interface Holdings {
  entries: number
  pending: number
  waiting: number
  partitions: readonly { partition: number; next: number; frontier: number }[]
}

/** What should be gone with the entries that it belonged to. */
export interface Leftovers {
  /** Keys of payloads beside the stream that do not expire by themselves. */
  payloads: readonly string[]
  /** Fields of the hashes `finished`, `progress`, `crashes` and `suspects`. */
  finished: readonly string[]
  progress: readonly string[]
  crashes: readonly string[]
  suspects: readonly string[]
  /** Executors that are not alive, yet are noted with a record in hand. */
  hands: readonly string[]
  waitingBytes: number
}

/** C4: everything that Kafka holds is done; `ends` are its high watermarks. */
export function drained(
  holdings: Holdings,
  ends: readonly { partition: number; high: number }[],
): Finding[] {
  const found: Finding[] = []
  for (const name of ['entries', 'pending', 'waiting'] as const) {
    if (holdings[name] !== 0) found.push(wrong('C4', `${name} is ${holdings[name]}, should be 0`))
  }
  for (const { partition, high } of ends) {
    const known = holdings.partitions.find((one) => one.partition === partition)
    for (const name of ['next', 'frontier'] as const) {
      if (known?.[name] === high) continue
      const text = `${name} of partition ${partition} is ${known?.[name] ?? 'unknown'}`
      found.push(wrong('C4', `${text}, Kafka ends at ${high}`))
    }
  }
  return found
}

/** C4: a pipeline that is drained has nothing lying about. */
export function tidied(leftovers: Leftovers): Finding[] {
  const names = ['payloads', 'finished', 'progress', 'crashes', 'suspects', 'hands'] as const
  const found = names.flatMap((name) => {
    const left = leftovers[name]
    if (left.length === 0) return []
    const some = left.slice(0, 3).join(', ')
    return [wrong('C4', `${name}: ${left.length} left over, such as ${some}`)]
  })
  const { waitingBytes } = leftovers
  if (waitingBytes !== 0) found.push(wrong('C4', `waitingBytes is ${waitingBytes}, should be 0`))
  return found
}

/** What may only grow. */
export interface Progress {
  watermark: number | null
  closedTo: number | null
  totals: { committed: number }
  partitions: readonly { partition: number; next: number; frontier: number }[]
}

/**
 * C5 between two looks; `rolledBack` says that Redis was taken back to an earlier state in between,
 * where everything may go back.
 */
export function monotone(
  previous: Progress | null,
  next: Progress,
  { rolledBack = false }: { rolledBack?: boolean } = {},
): Finding[] {
  const found: Finding[] = []
  for (const { partition, next: ledger, frontier } of next.partitions) {
    if (frontier <= ledger) continue
    const text = `the frontier of partition ${partition} is ${frontier}, beyond its ledger ${ledger}`
    found.push(wrong('C5', text))
  }
  if (!previous || rolledBack) return found
  const fell = (name: string, before: number | null, after: number | null) => {
    if (before === null || (after !== null && after >= before)) return
    found.push(wrong('C5', `${name} went from ${before} back to ${after}`))
  }
  fell('the watermark', previous.watermark, next.watermark)
  fell('closedTo', previous.closedTo, next.closedTo)
  fell('committed', previous.totals.committed, next.totals.committed)
  for (const { partition, next: ledger, frontier } of previous.partitions) {
    const now = next.partitions.find((one) => one.partition === partition)
    fell(`the ledger of partition ${partition}`, ledger, now?.next ?? null)
    fell(`the frontier of partition ${partition}`, frontier, now?.frontier ?? null)
  }
  return found
}

export interface Limits {
  min: number
  max: number
}

/** One actor as its heartbeat and lease tell it. */
export interface Worker {
  kind: string
  state: string
  alive: boolean
}

/** C6: executors at work within their limits; the least counts only where nothing is going on. */
export function staffed(
  actors: readonly Worker[],
  { min, max }: Limits,
  { atRest = false }: { atRest?: boolean } = {},
): Finding[] {
  const working = actors.filter(
    ({ kind, alive, state }) =>
      kind === 'executor' && alive && (state === 'running' || state === 'starting'),
  ).length
  if (working > max) return [wrong('C6', `${working} executors at work, at most ${max} allowed`)]
  if (atRest && working < min) {
    return [wrong('C6', `${working} executors at work, at least ${min} wanted`)]
  }
  return []
}

/** C6: once all is ended, no process of the pipeline runs. */
export function nobodyLeft(processes: readonly { pid: number; command: string }[]): Finding[] {
  return processes.map(({ pid, command }) =>
    wrong('C6', `process ${pid} is left: ${command.slice(0, 120)}`),
  )
}

/** What was measured against what it may be; the name says what it is and its unit. */
export interface Measured {
  name: string
  value: number
  max: number
}

/** C7. A value that could not be measured is a finding too. */
export function bounded(measured: readonly Measured[]): Finding[] {
  return measured.flatMap(({ name, value, max }) =>
    value <= max ? [] : [wrong('C7', `${name} is ${value}, at most ${max} allowed`)],
  )
}

/** C7: what the bridge lets wait. `margin` is what one append may put on top of the marks. */
export function backpressured(
  totals: { waiting: number; waitingBytes: number },
  bounds: { streamRecordsMax: number; streamBytesMax: number },
  margin: { records: number; bytes: number },
): Finding[] {
  return bounded([
    {
      name: 'waiting records',
      value: totals.waiting,
      max: bounds.streamRecordsMax + margin.records,
    },
    {
      name: 'waiting bytes',
      value: totals.waitingBytes,
      max: bounds.streamBytesMax + margin.bytes,
    },
  ])
}

/** C8: for each fault, where it should show, and whether it does. */
export function told(
  signs: readonly { fault: string; where: string; shows: boolean }[],
): Finding[] {
  return signs.flatMap(({ fault, where, shows }) =>
    shows ? [] : [wrong('C8', `${fault} does not show in ${where}`)],
  )
}

/** Errors that nobody foresaw. */
const UNFORESEEN = /unhandled|TypeError|ReferenceError|RangeError|panicked|Segmentation/i
const LINE_MAX = 300

/** C8: logs without an error that nobody foresaw, and without secrets, which are not repeated. */
export function quiet(
  lines: Iterable<string>,
  { secrets = [], foreseen = [] }: { secrets?: string[]; foreseen?: RegExp[] } = {},
): Finding[] {
  const found: Finding[] = []
  let at = 0
  for (const line of lines) {
    at++
    if (secrets.some((secret) => line.includes(secret))) {
      found.push(wrong('C8', `line ${at} of the log tells a secret`))
    } else if (UNFORESEEN.test(line) && !foreseen.some((pattern) => pattern.test(line))) {
      found.push(wrong('C8', `line ${at} of the log: ${line.slice(0, LINE_MAX)}`))
    }
  }
  return found
}

export const wrong = (check: Check, text: string): Finding => ({
  check,
  kind: 'wrong',
  amount: 1,
  text,
})

/** `more` records than there should be; fewer where it is negative. */
export function amiss(check: Check, more: number, text: string): Finding {
  return { check, kind: more < 0 ? 'lost' : 'duplicated', amount: Math.abs(more), text }
}

/** As a person reads it. */
export const findingText = ({ check, kind, text }: Finding): string => `${check} ${kind}: ${text}`
