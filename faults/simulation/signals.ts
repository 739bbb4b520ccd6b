/**
 * AbortController and AbortSignal in plain JavaScript, with what the actors ask of them. The engine's
 * own cost more than most of what a seed does: each end makes an error with its stack and an event, and
 * each listener and signal is one more native object for the garbage collector to ask after.
 */

/** Does something with these in place of the engine's own. */
export function withPlainSignals(work: () => void): void {
  const { AbortController, AbortSignal } = globalThis
  Object.assign(globalThis, { AbortController: PlainController, AbortSignal: PlainSignal })
  try {
    work()
  } finally {
    Object.assign(globalThis, { AbortController, AbortSignal })
  }
}

class PlainSignal {
  aborted = false
  reason: unknown = undefined
  readonly #listeners = new Set<() => void>()
  /** Signals of `any` that are aborted with this one. */
  readonly #followers: PlainSignal[] = []

  static abort(reason: unknown = 'aborted'): PlainSignal {
    const signal = new PlainSignal()
    signal.abort(reason)
    return signal
  }

  static any(signals: readonly PlainSignal[]): PlainSignal {
    const follower = new PlainSignal()
    const first = signals.find(({ aborted }) => aborted)
    if (first) follower.abort(first.reason)
    else for (const signal of signals) signal.#followers.push(follower)
    return follower
  }

  addEventListener(_: 'abort', listener: () => void): void {
    this.#listeners.add(listener)
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    this.#listeners.delete(listener)
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason
  }

  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
    for (const follower of this.#followers) follower.abort(reason)
  }
}

class PlainController {
  readonly signal = new PlainSignal()

  abort(reason: unknown = 'aborted'): void {
    this.signal.abort(reason)
  }
}
