/**
 * What a sink is asked to do, bounded in time, and ended when somebody else may have taken over.
 */
import type { Clock } from '../clock.ts'
import { causesOf } from '../errors.ts'
import { SinkFenced, SinkRefusal } from './sink.ts'

/** The sink did not do what it should: it is down, for now. */
export class SinkError extends Error {
  override name = 'SinkError'
}

/** A write, or an opening, that takes longer has failed. */
const LONGEST_MS = 30_000

/**
 * Rejects with the reason for which `over` was aborted, with a refusal or a fence as they are, and with
 * whatever else as a SinkError. Work that heeds no signal is left behind.
 */
export async function within<T>(
  clock: Clock,
  what: string,
  over: AbortController,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const done = new AbortController()
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(over.signal.reason as Error)
    over.signal.addEventListener('abort', abort, { once: true, signal: done.signal })
  })
  const late = clock.sleep(LONGEST_MS, done.signal).then(() => {
    if (done.signal.aborted) return
    over.abort(new SinkError(`it did not ${what} within ${LONGEST_MS / 1_000} s`))
  })
  try {
    return await Promise.race([work(over.signal), aborted])
  } catch (error) {
    if (error instanceof SinkRefusal || error instanceof SinkFenced) throw error
    throw error instanceof SinkError ? error : new SinkError(causesOf(error), { cause: error })
  } finally {
    done.abort()
    await late
  }
}
