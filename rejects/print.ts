/**
 * Rejects and outcomes as a person reads them. What a record holds is escaped: it must not write to
 * the terminal what it likes.
 */
import { cutText, escaped } from '../actors/escape.ts'
import type { Outcome } from './replay.ts'
import { type Reject, stateOf } from './rejects.ts'

const widths = { message: 60, value: 60 } as const

export function tableOf(rejects: readonly Reject[]): string {
  const head = ['rejected at', 'place', 'state', 'reason', 'message', 'value']
  const rows = rejects.map((reject) => [
    new Date(reject.at).toISOString().slice(0, 19).concat('Z'),
    reject.place,
    noteOf(reject),
    reject.reason,
    cutText(escaped(reject.message), widths.message),
    cutText(escaped(reject.value.toString()), widths.value),
  ])
  const all = [head, ...rows]
  const wide = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return all
    .map((row) => row.map((cell, i) => cell.padEnd(wide[i]!)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n')
}

/** One reject for programs; the value as text, as the API gives it. */
export function reportOf(reject: Reject) {
  const { id, at, topic, partition, offset, reason, message, value, mark, replayOf } = reject
  return {
    id,
    at: new Date(at).toISOString(),
    topic,
    partition,
    offset: String(offset),
    reason,
    message,
    value: value.toString(),
    state: stateOf(reject),
    replayedAs: mark?.state === 'replayed' ? placeAt(reject, mark.offset) : null,
    replayOf,
  }
}

/** Another offset of the same partition. */
const placeAt = ({ place }: Reject, offset: number): string => place.replace(/\d+$/, String(offset))

/** `open`, `replayed as 0:17`, and whose replay it is itself. */
function noteOf(reject: Reject): string {
  const { mark, replayOf } = reject
  const state =
    mark?.state === 'replayed' ? `replayed as ${placeAt(reject, mark.offset)}` : stateOf(reject)
  return replayOf === null ? state : `${state} (replay of ${replayOf})`
}

/** What became of one, for programs. */
export function outcomeReport(outcome: Outcome) {
  const { kind, reject } = outcome
  return {
    place: reject.place,
    outcome: kind,
    replayedAs: kind === 'replayed' ? placeAt(reject, outcome.offset) : null,
    why: kind === 'kept' ? outcome.why : null,
  }
}

export function outcomeText(outcome: Outcome): string {
  const { place } = outcome.reject
  switch (outcome.kind) {
    case 'replayed':
      return `${place}  replayed as ${placeAt(outcome.reject, outcome.offset)}`
    case 'done before':
      return `${place}  replayed or dropped before`
    case 'kept':
      return `${place}  kept: ${escaped(outcome.why)}`
    default:
      return outcome satisfies never
  }
}
