/**
 * Waits for a condition instead of a time: what is awaited has a name and a deadline.
 */
import { systemClock } from '../../actors/clock.ts'

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
  { timeoutMs = 15_000, everyMs = 20 }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const deadline = systemClock.elapsed() + timeoutMs
  for (;;) {
    const answer = await ask(condition)
    if ('value' in answer && answer.value) return answer.value
    if (systemClock.elapsed() >= deadline) {
      const cause = 'error' in answer ? { cause: answer.error } : {}
      throw new Error(
        `Timed out after ${timeoutMs} ms waiting for ${what} (${told(answer)})`,
        cause,
      )
    }
    await systemClock.sleep(everyMs)
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

function told(answer: Answer<unknown>): string {
  const last = 'error' in answer ? String(answer.error) : Bun.inspect(answer.value)
  return `last: ${last.slice(0, 300)}`
}
