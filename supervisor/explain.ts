/**
 * What `bun run why` prints: what is true now, why that holds, and the decisions that led there. Pure.
 */
import type { KeptDecision } from './decisions.ts'
import { shardLines } from './divided.ts'
import { clockTime, number, plural, span } from './figures.ts'
import type { LoopAccount } from './loop.ts'
import type { DecisionInputs } from './reasons.ts'
import type { StatusReport } from './status.ts'

export interface Now {
  status: StatusReport
  /** What the leader last told of its loop; null where none did. */
  loop: LoopAccount | null
  /** When the number of executors that are wanted last changed; epoch ms, null for never. */
  changedAt: number | null
}

/** Said on top already, or part of every sentence. */
const unsaid = new Set(['policy', 'min', 'max', 'maxResultDelayMs'])

/** A leader that has told nothing for so long decides nothing. */
const silentMs = 8_000

/** The state, and why nothing changes at this moment. */
export function nowText(job: string, now: Now): string {
  const { status } = now
  const { executors, backlog, topic, state, reason } = status
  const { min, max, policy, maxResultDelayMs: delayMs } = executors
  const within = delayMs === null ? '' : `, results within ${span(delayMs)}`
  const limits =
    min === null ? '' : ` (min ${min}, max ${max}, policy ${policy ?? 'unknown'}${within})`
  const lag = backlog.kafkaLag === null ? 'unknown' : number(backlog.kafkaLag)
  return [
    `${job} from ${topic}: ${state}${reason === null ? '' : `, ${reason}`}`,
    `  ${plural(executors.count, 'executor')}${limits}, backlog ${number(backlog.records)} in the stream and ${lag} in Kafka`,
    ...shardLines(status.shards).map((text) => `  ${text}`),
    ...holdLines(now),
  ].join('\n')
}

/** Why it stays as it is: the newest decision changed nothing, or who would decide is not there. */
function holdLines({ status, loop, changedAt }: Now): string[] {
  const now = Date.parse(status.at)
  if (status.state === 'stopped')
    return ['  nothing is decided: no supervisor leads (bun run supervisor)']
  if (!loop?.decision) return []
  if (now - loop.at > silentMs) {
    return [`  the supervisor has told nothing for ${span(now - loop.at)}`]
  }
  const { decision } = loop
  if (decision.from !== decision.to) return []
  const since = changedAt === null ? '' : ` for ${span(now - changedAt)}`
  return [
    `  unchanged${since}: ${decision.sentence}  [${decision.reason}]`,
    ...inputLines(decision.inputs),
  ]
}

/**
 * One decision: when, what, why, by which numbers, and how long until it was so. `later` are those that
 * were taken after it.
 */
export function decisionText(
  decision: KeptDecision,
  later: readonly KeptDecision[],
  now: number,
): string {
  const { at, from, to, reason, sentence, inputs } = decision
  const change = from === to ? `${to} stay` : `${from} → ${to}`
  const effect = effectText(decision, later)
  const parts = [`${clockTime(at)} (${span(now - at)} ago)`, change, `[${reason}]`, effect]
  return [parts.join('  ').trimEnd(), `  ${sentence}`, ...inputLines(inputs)].join('\n')
}

function effectText(decision: KeptDecision, later: readonly KeptDecision[]): string {
  const direction = Math.sign(decision.to - decision.from)
  if (direction === 0) return ''
  if (decision.effectMs !== null) return `in effect after ${span(decision.effectMs)}`
  const isOvertaken = later.some(({ from, to }) => Math.sign(to - from) === -direction)
  return isOvertaken ? 'overtaken before it was in effect' : 'not in effect yet'
}

/** What a decision that was printed before has come to. */
export const effectLine = ({ at, from, to, effectMs }: KeptDecision): string =>
  `${clockTime(at)}  ${from} → ${to}  in effect after ${span(effectMs ?? 0)}`

/** What to do where there is nothing to explain. */
export function emptyText(job: string, { status, changedAt }: Now): string {
  if (changedAt !== null) return 'no decision in that time'
  if (status.state !== 'stopped') return 'no decision yet: records wake the first executor'
  return `no decision of job ${job} is kept: start it with bun run supervisor, and give it records with bun run producer`
}

function inputLines(inputs: DecisionInputs): string[] {
  const known = Object.entries(inputs).filter(
    ([name, value]) => value !== null && !unsaid.has(name),
  )
  if (known.length === 0) return []
  return [`  ${known.map(([name, value]) => `${words(name)} ${valueText(value)}`).join(' · ')}`]
}

/** recordsPerExecutorSecond → records per executor second */
const words = (name: string): string =>
  name.replace(/[A-Z]+(?=[A-Z][a-z]|$)|[A-Z]/g, (letters) => ` ${letters.toLowerCase()}`)

const valueText = (value: DecisionInputs[string]): string =>
  typeof value === 'number' ? number(value) : String(value)
