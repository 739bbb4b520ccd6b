/**
 * Waits for a condition instead of a time: what is awaited has a name and a deadline.
 */
import { systemClock } from '../actors/clock.ts'

export interface UntilOptions {
  timeoutMs?: number
  everyMs?: number
}

/**
 * Resolves with the first truthy value of `condition`. A condition that throws is asked again; the
 * last value or error is part of the message when the time is up.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, everyMs = 20 }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const start = systemClock.elapsed()
  const over = new AbortController()
  const deadline = systemClock.sleep(timeoutMs, over.signal).then(() => undefined)
  let last: Answer<T> | undefined
  try {
    for (;;) {
      const answer = await Promise.race([ask(condition), deadline])
      if (answer && 'value' in answer && answer.value) return answer.value
      last = answer ?? last
      if (systemClock.elapsed() - start >= timeoutMs) throw timedOut(what, timeoutMs, last)
      await systemClock.sleep(everyMs)
    }
  } finally {
    over.abort()
  }
}

type Answer<T> = { value: T } | { error: unknown }

async function ask<T>(condition: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await condition() }
  } catch (error) {
    return { error }
  }
}

function timedOut(what: string, timeoutMs: number, last: Answer<unknown> | undefined): Error {
  const cause = last && 'error' in last ? { cause: last.error } : {}
  const seen = last && ('error' in last ? String(last.error) : Bun.inspect(last.value))
  const told = seen === undefined ? 'no answer yet' : `last: ${seen.slice(0, 300)}`
  return new Error(`Timed out after ${timeoutMs} ms waiting for ${what} (${told})`, cause)
}
