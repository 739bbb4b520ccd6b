/**
 * What one run of an engine over the whole topic gives, and the middle of several. Pure.
 */

/** Records that an engine said it had taken, and when, counted from its start. */
export interface Sample {
  seconds: number
  records: number
}

export interface Round {
  /** From the command's start until every record's effect was committed. */
  seconds: number
  firstResultSeconds: number
  /** Records a second from `WARM_FROM` of the topic on; null where no sample lies in between. */
  warmPerSecond: number | null
  /** Microseconds of CPU a record, by process, servers included. */
  cpuMicros: Record<string, number>
  /** Of all processes of the engine together, with the servers that it alone needs. */
  peakBytes: number
}

/** Before this share of the topic an engine may still be starting, compiling, warming up. */
export const WARM_FROM = 0.2

/** Records a second between the first sample from `WARM_FROM` on and the end. */
export function warmPerSecond(samples: Sample[], count: number, seconds: number): number | null {
  const from = samples.find(({ records }) => records >= count * WARM_FROM)
  if (!from || from.records >= count || from.seconds >= seconds) return null
  return (count - from.records) / (seconds - from.seconds)
}

/** Each number's median by itself: the rounds of one engine need not agree on which was the middle. */
export function medianRound(rounds: Round[]): Round {
  const warm = rounds.flatMap(({ warmPerSecond: rate }) => (rate === null ? [] : [rate]))
  const names = new Set(rounds.flatMap(({ cpuMicros }) => Object.keys(cpuMicros)))
  return {
    seconds: median(rounds.map((round) => round.seconds)),
    firstResultSeconds: median(rounds.map((round) => round.firstResultSeconds)),
    warmPerSecond: warm.length === 0 ? null : median(warm),
    cpuMicros: Object.fromEntries(
      Array.from(names, (name) => [name, median(rounds.map((one) => one.cpuMicros[name] ?? 0))]),
    ),
    peakBytes: median(rounds.map((round) => round.peakBytes)),
  }
}

/** Of an even number the mean of the two in the middle; NaN of none. */
export function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}

export const cpuSum = ({ cpuMicros }: Round): number =>
  Object.values(cpuMicros).reduce((sum, micros) => sum + micros, 0)
