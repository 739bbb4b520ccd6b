/**
 * Whether a child lives and is of no use: it says nothing, or moves on with nothing. Pure but for what
 * is asked of it.
 */
import { bounds } from '../actors/config.ts'
import type { InHand } from '../actors/executor/hand.ts'
import { partitionOf, topicField, topicIndexOf } from '../actors/topics.ts'
import type { Child } from './child.ts'
import { birthMs, type Register } from './register.ts'

/** A process that has not announced itself for this long, or has fallen silent so long, is stuck. */
const stuckMs = {
  starting: birthMs,
  silent: 1_500,
  /** One that was warm has nothing to load any more: it is at work at once, or did not get to know. */
  beginning: bounds.leaseMs,
}

export interface Suspect {
  child: Child
  /** It was warm; when it was let begin, by the monotonic clock, ms. */
  warm: boolean
  stageAt: number
}

/** Why it is stuck, for people; null where it is not. `hungMs`: who has work must move on within it. */
export function stuckReason(
  { child, warm, stageAt }: Suspect,
  register: Pick<Register, 'silentFor' | 'isKnown' | 'state' | 'seenAt' | 'stalledFor'>,
  now: number,
  hungMs: number,
): string | null {
  const inHand = () => recordsOf(child.inHand?.())
  if (register.silentFor(child.id) > stuckMs.silent) {
    return `stuck: its heartbeats stopped${inHand()}`
  }
  if (!register.isKnown(child.id) && now - child.startedAt > stuckMs.starting) {
    return 'stuck: it never announced itself'
  }
  const state = register.state(child.id)
  const idle = state === null || state === 'starting'
  if (warm && idle && register.seenAt - stageAt > stuckMs.beginning) {
    return 'stuck: it never began'
  }
  const stalledMs = register.stalledFor(child.id)
  if (stalledMs <= hungMs) return null
  return `stuck: no progress for ${Math.round(stalledMs / 1_000)} s${inHand()}`
}

/** For people: the one record, or how many, that it had in hand. */
export function recordsOf(inHand: InHand | null | undefined): string {
  if (!inHand) return ''
  const { offsets } = inHand
  const [topic, partition] = [topicIndexOf(inHand.partition), partitionOf(inHand.partition)]
  // What the ledger calls it, where that is not the first.
  const of = topic === 0 ? '' : ` of ${topicField(topic)}`
  if (offsets.length > 1)
    return `, ${offsets.length} records of partition ${partition}${of} in hand`
  return `, record ${partition}/${offsets[0]}${of} in hand`
}
