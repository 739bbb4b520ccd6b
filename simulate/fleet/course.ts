/**
 * A course: a load that hundreds of executors carry, and what happens to them. Plain data, as
 * scenario.ts, but of records that are too many to be played one by one.
 */
import type { Load } from '../load.ts'

/** Executors that end all at once, as with their machine. */
export interface Loss {
  atSeconds: number
  executors: number
}

/**
 * Whose the executors are: processes of the supervisor, whose end it sees at once and counts as a crash;
 * pods, whose node may be gone without a word, so that they are killed for their silence, which counts too;
 * or started elsewhere, whose silence it hears when their lease is over, and counts as nothing.
 */
export type Kind = 'processes' | 'pods' | 'elsewhere'

export interface Course {
  name: string
  title: string
  about: string
  seconds: number
  /** When what it is about happens, where it is one thing. */
  eventSeconds?: number
  /** In executors' worth: what one does in a second is 1, so that curves read as the fleet that is busy. */
  load: Load
  /** Of each second's arrivals, the standard deviation by chance, as a share of them. */
  jitter?: number
  /** From a start until the first record is taken; drawn between the two. */
  startMs: readonly [from: number, to: number]
  losses?: readonly Loss[]
  /** Times in which an executor dies `afterMs` after it came to work, and those that are there at its begin. */
  crashes?: { fromSeconds: number; toSeconds: number; afterMs: number }
  kind: Kind
  /** Executors that are at work from the beginning, and the most that there may be. */
  warm: number
  max: number
}
