/**
 * What a record costs an executor, in milliseconds: the same for all, heavy-tailed by chance, or as
 * it was over time in a recording. A record's cost hangs on the seed and its number alone, so that
 * each policy gets the same records. Pure.
 */
export type Cost =
  | { kind: 'constant'; ms: number }
  /** Most are cheap and a few are very costly; `ms` is the mean, up to the cap. */
  | { kind: 'pareto'; ms: number; shape: number; mostMs: number }
  | { kind: 'lognormal'; ms: number; sigma: number }
  /** Milliseconds from a record's number on, until the next point's. */
  | { kind: 'recorded'; points: readonly (readonly [record: number, ms: number])[] }

export interface CostOf {
  meanMs: number
  /** Cost of the record with this number, from 0 in the order of arrival. */
  ms(record: number): number
}

export function costOf(cost: Cost, seed: number): CostOf {
  switch (cost.kind) {
    case 'constant':
      return { meanMs: cost.ms, ms: () => cost.ms }
    case 'pareto': {
      const least = paretoLeast(cost.ms, cost.shape, cost.mostMs)
      const draw = (record: number) => least * (1 - chance(seed, record)) ** (-1 / cost.shape)
      return { meanMs: cost.ms, ms: (record) => Math.min(draw(record), cost.mostMs) }
    }
    case 'lognormal': {
      const mu = Math.log(cost.ms) - cost.sigma ** 2 / 2
      return { meanMs: cost.ms, ms: (record) => Math.exp(mu + cost.sigma * normal(seed, record)) }
    }
    case 'recorded':
      return recorded(cost.points)
    default:
      return cost satisfies never
  }
}

/** Least value for which a Pareto distribution that is cut at `most` has the mean; by bisection. */
function paretoLeast(mean: number, shape: number, most: number): number {
  const meanOf = (least: number) =>
    (shape * least - least ** shape * most ** (1 - shape)) / (shape - 1)
  let [low, high] = [0, mean]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (meanOf(middle) < mean) low = middle
    else high = middle
  }
  return high
}

function recorded(points: readonly (readonly [record: number, ms: number])[]): CostOf {
  let at = 0
  return {
    meanMs: points.reduce((sum, [, ms]) => sum + ms, 0) / Math.max(points.length, 1),
    ms: (record) => {
      // Records are asked for nearly in order, so the place is found from where it was.
      while (at > 0 && points[at]![0] > record) at--
      while (at + 1 < points.length && points[at + 1]![0] <= record) at++
      return points[at]?.[1] ?? 0
    },
  }
}

function normal(seed: number, record: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - chance(seed, 2 * record)))
  return radius * Math.cos(2 * Math.PI * chance(seed, 2 * record + 1))
}

/** A number in [0, 1) that hangs on both: MurmurHash3's 32-bit finalizer, twice. */
export function chance(seed: number, n: number): number {
  return mix(mix(seed ^ 0x2545f491) ^ n) / 2 ** 32
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
