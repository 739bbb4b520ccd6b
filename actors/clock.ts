/**
 * Time and chance, in the one file that may ask for them. Everything that decides takes a Clock as
 * an argument, so that tests and simulations can pass their own.
 */
export interface Clock {
  /** Wall-clock time, epoch milliseconds; never runs backwards within a process. */
  now(): number
  /** Monotonic milliseconds with a fraction, for measuring how long something took. */
  elapsed(): number
  /** Uniform in [0, 1). */
  random(): number
  /** Resolves after `ms`; an aborted signal resolves it at once. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Gives the thread back: resolves after what else is ready, such as replies, has been seen to. */
  turn(): Promise<void>
}

let latest = 0

export const systemClock: Clock = {
  now() {
    latest = Math.max(latest, Date.now())
    return latest
  },
  elapsed: () => performance.now(),
  random: () => Math.random(),
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal?.addEventListener('abort', done)
    })
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}

/** Chance that can be played again: Mulberry32, small, quick, and the same everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
