/**
 * Control calls that were refused, for the log: who asked for what, and why not. Never what was given as
 * a token. A line now and then is enough, as whoever guesses asks often; it counts what it stands for.
 */
import type { MiddlewareHandler } from 'hono'
import type { Clock } from '../actors/clock.ts'
import { cutText } from '../actors/escape.ts'
import type { Log } from '../actors/log.ts'
import { HttpError } from './errors.ts'
import { addressOf } from './guard.ts'

const LINE_EVERY_MS = 10_000
const PATH_MOST = 100

/** In front of the guards of control calls. */
export function refusalsLogged(log: Log, clock: Clock): MiddlewareHandler {
  let toldAt = -Infinity
  let untold = 0
  return async (c, next) => {
    await next()
    const { error } = c
    if (!(error instanceof HttpError) || (error.status !== 401 && error.status !== 403)) return
    const now = clock.elapsed()
    if (now - toldAt < LINE_EVERY_MS) {
      untold++
      return
    }
    const { code } = error
    const call = `${c.req.method} ${cutText(c.req.path, PATH_MOST)}`
    const more = untold > 0 ? { untold } : {}
    log.warn('control: refused', { call, code, caller: addressOf(c) ?? 'unknown', ...more })
    toldAt = now
    untold = 0
  }
}
