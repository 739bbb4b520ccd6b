/** The least of times of which some may not be known. Pure. */

/** Null where one of them is, or there is none. */
export const leastOf = (times: readonly (number | null)[]): number | null => {
  const known = times.flatMap((time) => time ?? [])
  return known.length < times.length || known.length === 0 ? null : Math.min(...known)
}
