/**
 * Whether more executors did more: a trial from the first step out of a climb until the fleet has
 * been at its new size for a while, and what follows where it brought too little. Pure.
 *
 *   step out → Trial ──backlog gone──► no question any more
 *                └── still behind, at full size for a while → Verdict ──► proven, or given back: Limit
 *
 * Both times the fleet is behind, so that what it does is all that it can do; a fleet that keeps up
 * does what arrives, however many it is.
 */
import { amount } from './need.ts'

export const trials = {
  /** How long the fleet must have been at its new size, and the least time since it grew. */
  fullMs: 5_000,
  leastMs: 10_000,
  /** Records below which a rate is chance. */
  recordsMin: 20,
  /** A fleet that was not behind for so long has caught up: there was no limit. */
  caughtUpMs: 2_000,
  /** Growth that brings less is given back. */
  gainMin: 1.1,
  /** How long what was given back is not tried again: the first time, and at the most. */
  limitMs: 60_000,
  limitMaxMs: 600_000,
} as const

/** A rate of work: records done, and in how long. */
export interface Done {
  records: number
  ms: number
}

export interface Trial {
  /** Executors before the climb, and the records a second that they did. */
  from: number
  before: number
  /** Executors that are wanted now, and since when. */
  to: number
  at: number
  /** Since when all of them are at work; null before. */
  fullSince: number | null
}

export interface Limit {
  /** More than so many bring nothing. */
  executors: number
  until: number
  /** How long it was set for, for the next one to be longer. */
  ms: number
  because: string
}

/** What a trial said: `enough` executors would do as much. */
export interface Verdict {
  enough: number
  because: string
}

/**
 * A trial that begins or, on a further step of the same climb, goes on; null where nothing can be told.
 * What few costly records say of the time before is chance: then it is what `rate` says of executors
 * that always have one in hand.
 */
export function stepped(
  trial: Trial | null,
  step: { from: number; to: number; at: number; done: Done; rate: number | null },
): Trial | null {
  const { from, to, at, done, rate } = step
  if (trial) return { ...trial, to, at, fullSince: null }
  const before = done.records >= trials.recordsMin ? perSecond(done) : from * (rate ?? 0)
  return before > 0 ? { from, before, to, at, fullSince: null } : null
}

/** The trial a moment later; over when the fleet has caught up. */
export function watched(
  trial: Trial | null,
  now: { at: number; behindAt: number; running: number },
): Trial | null {
  if (!trial || now.at - now.behindAt > trials.caughtUpMs) return null
  const full = now.running >= trial.to
  return { ...trial, fullSince: full ? (trial.fullSince ?? now.at) : null }
}

/** Whether enough was seen to tell; what was done is of the last `fullMs`. */
export function isRipe(trial: Trial, done: Done, now: number): boolean {
  const { fullSince, at } = trial
  if (fullSince === null || done.records < trials.recordsMin) return false
  return now - fullSince >= trials.fullMs && now - at >= trials.leastMs
}

/** Null where the growth has paid. `bottleneck` is what else may hold the work up, for people. */
export function verdictOf(trial: Trial, after: Done, bottleneck: string): Verdict | null {
  const now = perSecond(after)
  const gain = now / trial.before
  // So many would do the same if each did as much as before; a tenth more, for chance.
  const linear = Math.ceil(trial.from * gain * trials.gainMin)
  const enough = gain < trials.gainMin ? trial.from : Math.max(trial.from, linear)
  if (enough >= trial.to) return null
  const did = `${trial.to} did ${amount(now)}/s where ${trial.from} did ${amount(trial.before)}/s`
  return { enough, because: `${did}: ${bottleneck} is the limit` }
}

/** The limit that follows from a verdict, longer than the one before it. */
export function limited(verdict: Verdict, before: Limit | null, now: number): Limit {
  const ms = before ? Math.min(before.ms * 2, trials.limitMaxMs) : trials.limitMs
  return { executors: verdict.enough, until: now + ms, ms, because: verdict.because }
}

const perSecond = ({ records, ms }: Done) => (records * 1_000) / ms
