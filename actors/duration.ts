/** Lengths of time as people write them: '10 s', '1 minute', or a number of milliseconds. */

/** Milliseconds, or a number with its unit: `'10 s'`, `'1 minute'`, `'250 ms'`, `'2 h'`. */
export type Duration = number | `${number} ${DurationUnit}` | `${number}${DurationUnit}`
type DurationUnit = keyof typeof unitMs

export const unitMs = {
  ms: 1,
  s: 1_000,
  second: 1_000,
  seconds: 1_000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
} as const

/** Whole milliseconds; null where it is no duration, or not a whole number of them. */
export function parseDuration(duration: number | string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(String(duration))
  const unit = match && Object.hasOwn(unitMs, match[2]!) ? unitMs[match[2] as DurationUnit] : null
  const exact =
    typeof duration === 'number' ? duration : match && unit ? Number(match[1]) * unit : Number.NaN
  // '1.005 s' is 1004.9999999999999 in doubles.
  const ms = Math.abs(exact - Math.round(exact)) < 1e-6 ? Math.round(exact) : exact
  return Number.isSafeInteger(ms) ? ms : null
}
