/** A look at a job as a person reads it: a block of lines, or one line of a log. Pure. */
import { shardLines } from '../supervisor/divided.ts'
import { clockTime, number, plural, span } from '../supervisor/figures.ts'
import type { ActorReport, JobState, StatusReport } from '../supervisor/status.ts'
import { type Colour, columnsOf, type Line, type Piece } from './lines.ts'
import type { Look } from './look.ts'

/** The dead are told with their reason for a while, and no more of them than these. */
const DEAD_SHOWN = 3

const stateColours: Record<JobState, Colour> = {
  running: 'green',
  paused: 'yellow',
  degraded: 'red',
  stopped: 'red',
}

export const statePiece = ({ state }: StatusReport): Piece => ({
  text: state,
  colour: stateColours[state],
})

export function statusLines(look: Look): Line[] {
  const { status } = look
  const { topic, reason } = status
  return [
    [
      `${nameText(status)} from ${topic}: `,
      statePiece(status),
      reason === null ? '' : `, ${reason}`,
    ],
    row('backlog', backlogText(status)),
    ...shardLines(status.shards).map((text) => row('', text)),
    row(
      'rates',
      `${perSecond(status.rates.inPerSecond)} in, ${perSecond(status.rates.outPerSecond)} out`,
    ),
    row('delay', delayText(status)),
    row('watermark', watermarkText(status)),
    ...totalsLines(status),
    row('executors', executorsText(status)),
    ...hostRows(status).map((text): Line => [`    ${text}`]),
    ...executorRows(look.executors).map((text): Line => [`    ${text}`]),
    row('cost', costText(look)),
    row('decision', decisionText(status)),
  ]
}

/** A shadow must not be taken for the job itself. */
export function nameText({ job, version }: Pick<StatusReport, 'job' | 'version'>): string {
  if (version?.stage === 'shadow') return `${job}, a shadow of ${version.of},`
  return version?.by ? `${job}, replaced by ${version.by},` : job
}

/** One line a look, for a log. */
export function watchLine({ status }: Look): Line {
  const { backlog, executors, rates, latencyMs, totals, at, reason } = status
  const parts = [
    `backlog ${number(backlog.records)} + ${known(backlog.kafkaLag, number)} in Kafka`,
    plural(executors.count, 'executor'),
    `${perSecond(rates.inPerSecond)} in, ${perSecond(rates.outPerSecond)} out`,
    `p50 ${known(latencyMs.p50, span)}, p99 ${known(latencyMs.p99, span)}`,
    `late ${number(totals.late)}, rejected ${number(totals.rejected)}`,
    ...(totals.unaccounted === 0 ? [] : [`unaccounted ${number(totals.unaccounted)}`]),
    ...(reason === null ? [] : [reason]),
  ]
  return [`${at}  `, statePiece(status), `  ${parts.join('; ')}`]
}

export function watermarkText(status: StatusReport): string {
  const { watermark, watermarkHeldBy, watermarkHeldByTopic, at } = status
  if (watermark === null) return 'none yet'
  const of = watermarkHeldByTopic === null ? '' : ` of ${watermarkHeldByTopic}`
  const behind = span(Date.parse(at) - Date.parse(watermark))
  const holder = watermarkHeldBy === null ? '' : `, held by partition ${watermarkHeldBy}${of}`
  return `${clockTime(Date.parse(watermark))}, ${behind} behind the clock${holder}`
}

export function limitsText({ executors }: StatusReport): string {
  const { min, max, policy, maxResultDelayMs } = executors
  if (min === null || max === null) return ''
  const within = maxResultDelayMs === null ? '' : `, results within ${span(maxResultDelayMs)}`
  return `min ${min}, max ${max}, policy ${policy ?? 'unknown'}${within}`
}

/** A header and a row for each host, where there are several. */
export function hostRows({ hosts, executors: { max } }: StatusReport): string[] {
  if (hosts.length < 2) return []
  const head = ['host', 'executors', 'wanted', 'at most', 'cores', 'idle', 'memory free', '']
  const rows = hosts.map((one) => [
    one.host,
    number(one.executors),
    one.wanted === null ? '–' : number(one.wanted),
    // Without a bound of its own a machine takes as many as the job may have.
    max !== null && one.limit >= max ? '–' : number(one.limit),
    number(one.cores),
    known(one.coresIdle, (cores) => cores.toFixed(1)),
    `${(one.memoryFreeBytes / 2 ** 30).toFixed(1)} GiB`,
    one.leads ? 'leads' : '',
  ])
  return columnsOf([head, ...rows], [1, 2, 3, 4, 5, 6])
}

/** A header and a row for each that lives, then the last of the dead. */
export function executorRows(executors: readonly ActorReport[]): string[] {
  const living = executors.filter(isLiving)
  const dead = executors.filter((one) => !isLiving(one)).slice(0, DEAD_SHOWN)
  const shown = [...living, ...dead]
  if (shown.length === 0) return []
  const head = ['executor', 'state', 'busy', 'records/s', 'records', 'memory', 'process']
  return columnsOf([head, ...shown.map(executorCells)], [2, 3, 4, 5])
}

const isLiving = ({ state }: ActorReport) => !['stopped', 'dead', 'failed'].includes(state)

function executorCells(one: ActorReport): string[] {
  const why = isLiving(one) || one.reason === null ? '' : `, ${one.reason}`
  return [
    one.id,
    one.state,
    known(one.busy, (share) => `${Math.round(share * 100)} %`),
    known(one.recordsPerSecond, number),
    number(one.records),
    `${Math.round(one.rssBytes / 2 ** 20)} MiB`,
    `${one.pid} on ${one.host}${why}`,
  ]
}

function backlogText({ backlog }: StatusReport): string {
  const { records, entries, pending, kafkaLag } = backlog
  const stream = `${number(records)} in the stream (${number(entries)} ${entries === 1 ? 'entry' : 'entries'}, ${number(pending)} in hand)`
  return `${stream}, ${known(kafkaLag, number)} in Kafka`
}

function delayText({ latencyMs, eventDelayMs }: StatusReport): string {
  const of = ({ p50, p99 }: typeof latencyMs) => `p50 ${known(p50, span)}, p99 ${known(p99, span)}`
  return `${of(latencyMs)} since Kafka had it; ${of(eventDelayMs)} since the event`
}

function totalsLines({ totals, rejects }: StatusReport): Line[] {
  const { appended, committed, counted, filtered, late, rejected, lost, unaccounted } = totals
  const wrong = unaccounted !== 0
  const lostText = lost === 0 ? '' : `, lost ${number(lost)}`
  const reasons = Object.entries(rejects).map(([reason, count]) => `${reason} ${number(count)}`)
  return [
    [
      ...row('records', `${number(appended)} taken in, ${number(committed)} done: `),
      `${number(counted)} counted, ${number(filtered)} filtered, ${number(late)} late, `,
      `${number(rejected)} rejected${lostText}; `,
      wrong ? { text: `unaccounted ${number(unaccounted)}`, colour: 'red' } : 'unaccounted 0',
    ],
    ...(reasons.length === 0 ? [] : [row('rejects', reasons.join(', '))]),
  ]
}

function executorsText(status: StatusReport): string {
  const limits = limitsText(status)
  return `${status.executors.count}${limits === '' ? '' : ` (${limits})`}`
}

function costText({ cost }: Look): string {
  const { executorSeconds, staticExecutorSeconds, savedShare, money } = cost
  if (savedShare === null) return 'nothing counted yet'
  const used = `${number(executorSeconds)} of ${number(staticExecutorSeconds)} executor-seconds`
  const paid = money.used === null ? '' : `, ${money.used} of ${money.static ?? '?'} in money`
  return `${used}${paid}: ${(savedShare * 100).toFixed(1)} % saved`
}

function decisionText({ lastDecision, at }: StatusReport): string {
  if (!lastDecision) return 'none yet'
  const { sentence, reason } = lastDecision
  return `${span(Date.parse(at) - Date.parse(lastDecision.at))} ago: ${sentence}  [${reason}]`
}

const row = (name: string, text: string): Line => [
  { text: `  ${name.padEnd(11)}`, colour: 'dim' },
  text,
]

export const perSecond = (value: number | null) => known(value, (value) => `${number(value)}/s`)

/** A number that is not known is told as that, never as 0. */
export const known = (value: number | null, text: (value: number) => string): string =>
  value === null ? 'unknown' : text(value)
