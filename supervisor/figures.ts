/** Numbers, counts, times and spans as a person at a terminal reads them. Pure. */

export const number = (value: number): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: 2 })

export const plural = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`

/** Local time, with its date, so that a week of decisions can be told apart. */
export function clockTime(ms: number): string {
  const date = new Date(ms)
  return `${date.toLocaleDateString('en-CA')} ${date.toLocaleTimeString('en-GB')}`
}

/** 420 ms, 4.2 s, 42 s, 3 min 20 s, 2 h 5 min, 3 d 4 h */
export function span(given: number): string {
  // Another machine's clock may be ahead.
  const ms = Math.max(0, given)
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 9_950) return `${Math.round(ms / 100) / 10} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / 1_440)} d ${Math.floor((minutes % 1_440) / 60)} h`
}
