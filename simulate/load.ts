/**
 * Load: when records arrive. A curve of records a second, straight between its points, and the
 * moments at which it brings each record: evenly, or as a Poisson process of a seed. Pure.
 *
 *   records/s   10 ────┐ 40 ────┐          points [[0, 10], [30, 10], [30, 40], [60, 40], [60, 0]]
 *   seconds     0      30       60
 */
import { seededRandom } from '../actors/clock.ts'

/** Seconds and records a second; two points at the same second make a step. */
export type Point = readonly [seconds: number, perSecond: number]

export interface Load {
  points: readonly Point[]
  /** Arrivals by chance at the curve's rate, in place of even ones. */
  poisson?: boolean
}

interface Segment {
  fromMs: number
  toMs: number
  /** Records a millisecond at both ends. */
  rateFrom: number
  rateTo: number
  /** Records that the curve brings before and within the segment. */
  before: number
  records: number
}

/** Steps of so many records a second for so many seconds, one after the other. */
export function phases(...steps: readonly (readonly [perSecond: number, seconds: number])[]): Load {
  let at = 0
  const points = steps.flatMap(([perSecond, seconds]): Point[] => {
    const from = at
    at += seconds
    return [
      [from, perSecond],
      [at, perSecond],
    ]
  })
  return { points }
}

/** Records a second at a moment. */
export function rateAt(load: Load, seconds: number): number {
  const segment = segmentsOf(load).find(({ fromMs, toMs }) => {
    const ms = seconds * 1_000
    return ms >= fromMs && ms < toMs
  })
  if (!segment) return 0
  const share = (seconds * 1_000 - segment.fromMs) / (segment.toMs - segment.fromMs)
  return (segment.rateFrom + (segment.rateTo - segment.rateFrom) * share) * 1_000
}

/** The same for many moments, one after the other in time. */
export function rates(load: Load): (seconds: number) => number {
  const segments = segmentsOf(load)
  let at = 0
  return (seconds) => {
    const ms = seconds * 1_000
    while (at + 1 < segments.length && ms >= segments[at]!.toMs) at++
    const segment = segments[at]
    if (!segment || ms < segment.fromMs || ms >= segment.toMs) return 0
    const share = (ms - segment.fromMs) / (segment.toMs - segment.fromMs)
    return (segment.rateFrom + (segment.rateTo - segment.rateFrom) * share) * 1_000
  }
}

/** Records that the curve brings in all. */
export function recordsOf(load: Load): number {
  return segmentsOf(load).reduce((sum, { records }) => sum + records, 0)
}

/** The moments of arrival, one after the other. */
export class Arrivals {
  readonly #segments: Segment[]
  readonly #random: (() => number) | null
  #segment = 0
  /** Records by the curve up to the next arrival; it comes where the curve has brought as many. */
  #mass = 0

  constructor(load: Load, seed: number) {
    this.#segments = segmentsOf(load)
    this.#random = load.poisson ? seededRandom(Math.imul(seed, 0x9e3779b1) ^ 0x51ed270b) : null
  }

  /** Milliseconds of the next arrival; Infinity after the last. */
  next(): number {
    this.#mass += this.#random ? -Math.log(1 - this.#random()) : 1
    for (;;) {
      const segment = this.#segments[this.#segment]
      if (!segment) return Infinity
      const mass = this.#mass - segment.before
      // A tenth of a thousandth of a record: sums of a curve's parts are not exact in doubles.
      if (mass <= segment.records + 1e-7) return segment.fromMs + reach(segment, mass)
      this.#segment++
    }
  }
}

function segmentsOf({ points }: Load): Segment[] {
  const segments: Segment[] = []
  let before = 0
  for (const [i, [from, rateFrom]] of points.entries()) {
    const [to, rateTo] = points[i + 1] ?? [from, 0]
    if (to <= from) continue
    const records = ((rateFrom + rateTo) / 2) * (to - from)
    segments.push({
      fromMs: from * 1_000,
      toMs: to * 1_000,
      rateFrom: rateFrom / 1_000,
      rateTo: rateTo / 1_000,
      before,
      records,
    })
    before += records
  }
  return segments
}

/** Milliseconds into a segment at which it has brought `mass` records: r·t + s·t²/2 = mass. */
function reach({ fromMs, toMs, rateFrom, rateTo }: Segment, mass: number): number {
  const span = toMs - fromMs
  const slope = (rateTo - rateFrom) / span
  const root = Math.sqrt(Math.max(0, rateFrom ** 2 + 2 * slope * mass))
  // This form of the solution loses no digits where the slope is small, and holds where it is 0.
  return mass <= 0 ? 0 : Math.min((2 * mass) / (rateFrom + root), span)
}
