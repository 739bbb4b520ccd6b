/**
 * When records are due. A pace answers from the time since the start, not from the last record, so
 * neither slow sleeps nor slow sends make it drift. What is more than a second behind is given up:
 * after an outage the pace goes on instead of making up for the whole of it at once. Pure.
 */
export interface Pace {
  /** Records that are due now, `most` at the most; they count as sent. Time since the start in ms. */
  take(elapsedMs: number, most: number): number
  /** When the next one is due, in ms since the start. */
  nextMs(): number
}

const DEBT_MS = 1_000

/** `rate` records a second, evenly. */
export function steadyPace(rate: number): Pace {
  let taken = 0
  let originMs = 0
  const dueMs = (count: number) => originMs + (count * 1_000) / rate
  return {
    take(elapsedMs, most) {
      const due = Math.floor(((elapsedMs - originMs) * rate) / 1_000) - taken
      const now = Math.max(0, Math.min(due, most))
      taken += now
      const behindMs = elapsedMs - dueMs(taken)
      if (behindMs > DEBT_MS) originMs += behindMs - DEBT_MS
      return now
    },
    nextMs: () => dueMs(taken + 1),
  }
}

/** The source project's: the next record 50 to 300 ms after the one before. */
export function sourcePace(random: () => number): Pace {
  const gapMs = () => 50 + random() * 250
  let dueMs = gapMs()
  return {
    take(elapsedMs, most) {
      let now = 0
      while (dueMs <= elapsedMs && now < most) {
        now++
        dueMs += gapMs()
      }
      dueMs = Math.max(dueMs, elapsedMs - DEBT_MS)
      return now
    },
    nextMs: () => dueMs,
  }
}
