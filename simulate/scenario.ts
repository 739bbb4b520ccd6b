/** A scenario: what comes, what it costs, and what goes wrong meanwhile. Plain data. */
import type { Cost } from './cost.ts'
import type { Load, Point } from './load.ts'

export type Span = readonly [fromSeconds: number, toSeconds: number]

export interface Scenario {
  name: string
  title: string
  /** What it is about. */
  about: string
  /** How long it is counted. What waits then is still worked off, without cost and arrivals. */
  seconds: number
  load: Load
  cost: Cost
  /** From a start until the first record is taken; drawn between the two where it is a pair. */
  startMs: number | readonly [from: number, to: number]
  /** Executors by their order of birth, from 1, and how many times slower each is. */
  slow?: Readonly<Record<number, number>>
  /** Times in which executors die `afterMs` after they came to work. */
  crashes?: readonly { span: Span; afterMs: number }[]
  /** Times in which nothing can be measured. */
  blind?: readonly Span[]
  /** How old what is measured is. */
  lagMs?: number
  /** Records a second that all executors together can do, whatever they are: a full Redis. */
  ceilingPerSecond?: number
  /** Records a second that come out of Kafka, as fast as they may arrive there. */
  bridgePerSecond?: number
  /** Executors from a second on, as somebody would set them who knew the load beforehand. */
  plan?: readonly Point[]
}
