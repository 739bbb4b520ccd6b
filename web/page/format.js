/**
 * Numbers and times as people read them. What is not known is a dash, never a zero. Pure.
 */
const DASH = '–'
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })
const decimal = new Intl.NumberFormat('en-US', { maximumFractionDigits: 3 })
const small = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 2 })
const cents = new Intl.NumberFormat('en-US', {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
})
const digits = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 })
const tenth = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

export const number = (value) => (isKnown(value) ? whole.format(value) : DASH)

/**
 * An aggregate's value: a number mostly; quantiles by their names, the most frequent with their counts, none of
 * which is parted from what it is of.
 */
export function measure(value) {
  if (isKnown(value)) return decimal.format(value)
  if (value === null || value === undefined) return DASH
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value)) {
    return value.map((one) => `${one.value}\u00a0×\u00a0${whole.format(one.count)}`).join(', ')
  }
  return Object.entries(value)
    .map(([name, one]) => `${name}\u00a0${measure(one)}`)
    .join(', ')
}

/** For tight places: all digits up to 99,999, then 123.4K. */
export const compact = (value) => {
  if (!isKnown(value)) return DASH
  return Math.abs(value) < 100_000 ? whole.format(value) : short.format(value)
}

export const rate = (value) => {
  if (!isKnown(value)) return DASH
  return value < 100 ? tenth.format(value) : compact(value)
}

/** For cells of a heat map: three digits that say something. */
export const compactMeasure = (value) => {
  if (!isKnown(value)) return DASH
  return Math.abs(value) >= 10_000 ? short.format(value) : digits.format(value)
}

export const count = (value, name) => `${number(value)} ${name}${value === 1 ? '' : 's'}`

export const groupValue = (value) => (value === null ? 'null' : String(value))

/** 0.4 %, 12 % */
export const smallShare = (value) =>
  isKnown(value) ? `${value < 0.1 ? tenth.format(value * 100) : Math.round(value * 100)} %` : DASH

export const share = (value) => (isKnown(value) ? `${Math.round(value * 100)} %` : DASH)

/** In whatever currency the price is: two digits that say something, at the least. */
export const money = (value) =>
  isKnown(value) ? (Math.abs(value) < 1 ? small.format(value) : cents.format(value)) : DASH

/** 92.4 MiB, 1,023 MiB, 22.2 GiB */
export function bytes(value) {
  if (!isKnown(value)) return DASH
  const mebibytes = value / 2 ** 20
  if (mebibytes < 100) return `${tenth.format(mebibytes)} MiB`
  if (mebibytes < 1_024) return `${whole.format(mebibytes)} MiB`
  return `${tenth.format(mebibytes / 1_024)} GiB`
}

/** 12 ms, 1.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h */
export function duration(ms) {
  if (!isKnown(ms)) return DASH
  if (ms < 1_000) return `${Math.round(Math.max(0, ms))} ms`
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / 1_440)} d ${Math.floor((minutes % 1_440) / 60)} h`
}

/** For tight places: 3m 20s, 2h 5m. */
export const shortDuration = (ms) =>
  duration(ms)
    .replace(/(\d+) min/, '$1m')
    .replace(/(\d+) ([hd])/, '$1$2')
    .replace(/m (\d+) s/, 'm $1s')

/** Local time of day; with its date where that is not today. */
export function clockTime(iso) {
  const date = new Date(iso)
  const time = date.toLocaleTimeString('en-GB')
  const isToday = date.toDateString() === new Date().toDateString()
  return isToday ? time : `${date.toLocaleDateString('en-CA')} ${time}`
}

/** Date, time and zone, for a title. */
export const absolute = (iso) => full.format(new Date(iso))

/** 12 s ago; now for what is younger than a second. */
export const ago = (ms) =>
  ms < 1_000 ? 'now' : `${duration(Math.floor(ms / 1_000) * 1_000).replace('.0 s', ' s')} ago`

/** 19:55:05 – 19:55:15, local. */
export function span(start, end) {
  return `${clockTime(start)} – ${new Date(end).toLocaleTimeString('en-GB')}`
}

const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' })

const isKnown = (value) => typeof value === 'number' && Number.isFinite(value)
