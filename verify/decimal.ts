/**
 * Exact arithmetic on decimals: a number is what JSON writes for it, digit by digit. Written apart
 * from the pipeline's own (actors/windows/aggregates.ts) and in another way, so that a mistake in
 * one of them shows as a difference. Pure.
 */

/** What a sum accepts: the scaled number must be smaller than this. */
const SCALED_LIMIT = 2n ** 52n
const REMEMBERED_MAX = 65_536

/**
 * Makes the function that turns a number into units of 10^-decimals, rounded half away from zero;
 * null where the number is not finite or too large. It remembers what it has computed, because
 * measured values repeat.
 */
export function scaler(decimals: number): (value: number) => number | null {
  const remembered = new Map<number, number | null>()
  const factor = 10 ** decimals
  const largestWhole = Number(SCALED_LIMIT) / factor
  return (value) => {
    // The product of two whole numbers below 2⁵³ is exact.
    if (Number.isInteger(value) && Math.abs(value) < largestWhole) return value * factor + 0
    const known = remembered.get(value)
    if (known !== undefined) return known
    const units = unitsOf(value, decimals)
    if (remembered.size >= REMEMBERED_MAX) remembered.clear()
    remembered.set(value, units)
    return units
  }
}

function unitsOf(value: number, decimals: number): number | null {
  if (!Number.isFinite(value)) return null
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? []
  // value = digits × 10^(exponent − fraction.length); units = value × 10^decimals
  const shift = Number(exponent) - fraction.length + decimals
  const digits = BigInt(whole + fraction)
  const units = shift >= 0 ? digits * 10n ** BigInt(shift) : quotient(digits, 10n ** BigInt(-shift))
  if (units >= SCALED_LIMIT) return null
  return sign && units > 0n ? -Number(units) : Number(units)
}

/** A sum of units without rounding: small steps in a double, the rest in a bigint. */
export class ExactSum {
  #large = 0n
  #small = 0

  add(units: number): void {
    const next = this.#small + units
    if (Number.isSafeInteger(next)) {
      this.#small = next
    } else {
      this.#large += BigInt(this.#small)
      this.#small = units
    }
  }

  merge(other: ExactSum): void {
    this.#large += other.#large
    this.add(other.#small)
  }

  total(): bigint {
    return this.#large + BigInt(this.#small)
  }
}

/** Units per count, rounded half away from zero, to the same number of decimals. */
export function meanOf(total: bigint, count: number): bigint {
  const mean = quotient(total < 0n ? -total : total, BigInt(count))
  return total < 0n ? -mean : mean
}

/** The double that is nearest to units × 10^-decimals. */
export function numberOf(units: bigint, decimals: number): number {
  // Reading a decimal is what engines round correctly.
  return Number(`${units}e-${decimals}`)
}

/** Of two that are not negative, rounded half up. */
function quotient(dividend: bigint, divisor: bigint): bigint {
  const whole = dividend / divisor
  return 2n * (dividend % divisor) >= divisor ? whole + 1n : whole
}
