/**
 * The sketches by their definition in docs/redis.md, apart from the pipeline's own code: the register
 * of a value, the step of a number, and what follows from many of them. Pure.
 */

/** Registers of `distinct`, and the greatest rank. */
const REGISTERS = 2 ** 11
const RANK_MAX = 31
/** Steps of `quantiles` between two powers of two; numbers below the smallest power count as 0. */
const STEPS = 64
const SMALLEST_POWER = -30

/** Two lanes over the UTF-16 units of a value's text; a text begins at another place than the rest. */
export function registerOf(value: string | number | boolean): [register: number, rank: number] {
  const isText = typeof value === 'string'
  const units = Array.from({ length: String(value).length }, (_, i) => String(value).charCodeAt(i))
  const start = isText ? 0x811c9dc5 : 0x2f0b4c47
  const low = units.reduce((lane, unit) => times((lane ^ unit) >>> 0, 16_777_619), start)
  const high = units.reduce(
    (lane, unit) => (times(rotatedBy5(lane), 2_654_435_761) ^ unit) >>> 0,
    (start ^ 0x5bd1e995) >>> 0,
  )
  const bits = finished((high ^ units.length) >>> 0)
    .toString(2)
    .padStart(32, '0')
  const one = bits.indexOf('1')
  return [Math.floor(finished(low) / 2 ** 21), Math.min((one < 0 ? 32 : one) + 1, RANK_MAX)]
}

/** The product modulo 2³². */
const times = (a: number, b: number): number => Math.imul(a, b) >>> 0
const rotatedBy5 = (word: number): number =>
  (((word * 32) % 2 ** 32) | Math.floor(word / 2 ** 27)) >>> 0

/** MurmurHash3's finalizer. */
function finished(word: number): number {
  const a = times((word ^ Math.floor(word / 2 ** 16)) >>> 0, 2_246_822_507)
  const b = times((a ^ Math.floor(a / 2 ** 13)) >>> 0, 3_266_489_909)
  return (b ^ Math.floor(b / 2 ** 16)) >>> 0
}

/**
 * How many different values the ranks of the registers that are set tell of, by Ertl's formula:
 * α m² ÷ (m σ(C₀ ÷ m) + Σ Cₖ 2⁻ᵏ + m τ(1 − C₃₁ ÷ m) 2⁻³⁰), α = 1 ÷ 2 ln 2.
 */
export function distinctOf(ranks: readonly number[]): number {
  const share = (count: number) => count / REGISTERS
  const full = ranks.filter((rank) => rank === RANK_MAX).length
  const middle = ranks.filter((rank) => rank < RANK_MAX).reduce((sum, rank) => sum + 2 ** -rank, 0)
  const sum =
    REGISTERS * sigma(share(REGISTERS - ranks.length)) +
    middle +
    REGISTERS * tau(1 - share(full)) * 2 ** -(RANK_MAX - 1)
  return Math.round(REGISTERS ** 2 / (2 * Math.LN2 * sum))
}

/** x + Σ x^(2^k) × 2^(k−1), for k from 1 on; terms beyond these are nothing. */
function sigma(x: number): number {
  if (x === 1) return Infinity
  let sum = x
  for (let k = 1; k <= 64; k++) sum += x ** (2 ** k) * 2 ** (k - 1)
  return sum
}

/** (1 − x − Σ (1 − x^(2^−k))² × 2^−k) ÷ 3, for k from 1 on. */
function tau(x: number): number {
  if (x === 0 || x === 1) return 0
  let sum = 1 - x
  for (let k = 1; k <= 64; k++) sum -= (1 - x ** (2 ** -k)) ** 2 * 2 ** -k
  return sum / 3
}

/** 0, or the number of the step with its sign: 1 for what begins at the smallest power. */
export function stepOf(value: number): number {
  const size = Math.abs(value)
  if (size < 2 ** SMALLEST_POWER) return 0
  let power = Math.floor(Math.log2(size))
  while (2 ** power > size) power--
  while (2 ** (power + 1) <= size) power++
  const within = Math.floor((size / 2 ** power - 1) * STEPS)
  return Math.sign(value) * ((power - SMALLEST_POWER) * STEPS + within + 1)
}

/** Each quantile by its name: of the step that holds the value at rank ⌈q × n⌉. */
export function quantileOf(
  counts: ReadonlyMap<number, number>,
  wanted: readonly number[],
): Record<string, number | null> {
  const steps = [...counts.keys()].sort((a, b) => a - b)
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const at = (q: number): number | null => {
    if (total === 0) return null
    const millionths = BigInt(Math.round(q * 1e6)) * BigInt(total)
    const rank = Number((millionths + 999_999n) / 1_000_000n)
    let seen = 0
    const found = steps.find((step) => (seen += counts.get(step)!) >= rank)!
    return middleOf(found)
  }
  return Object.fromEntries(wanted.map((q) => [`p${Math.round(q * 1e6) / 1e4}`, at(q)]))
}

/** The harmonic mean of a step's bounds. */
function middleOf(step: number): number {
  if (step === 0) return 0
  const index = Math.abs(step) - 1
  const power = 2 ** (Math.floor(index / STEPS) + SMALLEST_POWER)
  const [low, high] = [index % STEPS, (index % STEPS) + 1].map((n) => power * (1 + n / STEPS))
  return Math.sign(step) * ((2 * low! * high!) / (low! + high!))
}

/** What a state of `topK` says: counters by the values' JSON, and how much each may lack. */
export interface Top {
  counters: ReadonlyMap<string, number>
  error: number
}
/** Counters of one state; a merged one of several panes may have more. */
const COUNTERS = 128

/** What of it can't be true, of values that came so often; null where all of it can. */
export function topProblem({ counters, error }: Top, counts: ReadonlyMap<string, number>) {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (error > total / (COUNTERS + 1)) return `its error ${error} is too great for ${total} values`
  for (const [text, count] of counters) {
    const came = counts.get(text) ?? 0
    if (count > came || came > count + error) {
      return `${text} has ${count} (error ${error}), and came ${came} times`
    }
  }
  for (const [text, came] of counts) {
    if (came > error && !counters.has(text)) return `${text} is missing, and came ${came} times`
  }
  return null
}
