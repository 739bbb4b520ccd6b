/**
 * Time and chance, in the one file that may ask for them. Everything that decides takes a Clock as
 * an argument, so that tests and simulations can pass their own.
 */
export interface Clock {
  /** Wall-clock time, epoch milliseconds; never runs backwards, nor stands still, within a process. */
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

export const systemClock: Clock = {
  now: steady(Date.now, () => performance.now()),
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

/**
 * The next moment of those that come every `everyMs`, by the monotonic clock. What a process does now and
 * then it does at these, all of it at once: to wake up costs more than most of what is then done.
 */
export function nextTick(elapsed: number, everyMs: number): number {
  // A timer may be a little early; the moment that it was set for is over.
  return (Math.floor(elapsed / everyMs + 0.01) + 1) * everyMs
}

/** Milliseconds until then, for `sleep`. */
export function untilTick({ elapsed }: Pick<Clock, 'elapsed'>, everyMs: number): number {
  const now = elapsed()
  return Math.ceil(nextTick(now, everyMs) - now)
}

/**
 * A wall clock that can be set back, as one that can't: meanwhile it goes on at half the pace until
 * the time has caught up. It must not wait for that: whoever sleeps until a time by it, such as a
 * supervisor before it starts a crashed child again, would sleep for as long as the clock was set back.
 */
export function steady(wall: () => number, elapsed: () => number): () => number {
  let latest = -Infinity
  let at = elapsed()
  return () => {
    const since = elapsed() - at
    at += since
    latest = Math.max(wall(), latest + since / 2)
    return Math.floor(latest)
  }
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
