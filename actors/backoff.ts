/**
 * Bounded, jittered, exponential backoff: the delay before attempt n is uniform between half and
 * all of min(capMs, baseMs × 2ⁿ⁻¹). Pure; the caller sleeps and decides when quiet resets n.
 */
export interface Backoff {
  baseMs: number
  capMs: number
}

/** Delay in milliseconds before the `attempt`-th retry (1 is the first); `random` is in [0, 1). */
export function backoffDelayMs(policy: Backoff, attempt: number, random: number): number {
  const exponent = Math.min(Math.max(attempt, 1) - 1, 30)
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** exponent)
  return ceiling / 2 + (ceiling / 2) * random
}
