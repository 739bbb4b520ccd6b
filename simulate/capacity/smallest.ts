/**
 * The least count for which it fits; null where none does up to `most`. More is never worse, so that the
 * place is found by doubling and halving.
 */
export function smallest(most: number, fits: (count: number) => boolean): number | null {
  let high = 1
  while (high < most && !fits(high)) high = Math.min(high * 2, most)
  if (!fits(high)) return null
  let low = Math.floor(high / 2)
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2)
    if (fits(middle)) high = middle
    else low = middle
  }
  return high
}
