/**
 * Every answer that is not a success, in one form: `{ error: { code, message } }`. What was thrown
 * becomes a status here; nothing of a stack, a path or a secret goes out.
 */
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { causesOf, messageOf } from '../actors/errors.ts'
import type { Log } from '../actors/log.ts'
import { isOutage } from '../actors/redis.ts'

/** A refusal that has its status and its code. */
export class HttpError extends Error {
  override name = 'HttpError'
  readonly status: ContentfulStatusCode
  readonly code: string

  constructor(status: ContentfulStatusCode, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The answer for anything thrown on the way. */
export function errorAnswer(error: unknown, c: Context, log: Log): Response {
  if (error instanceof HttpError) return errorJson(c, error.status, error.code, error.message)
  if (isOutage(error)) {
    c.header('Retry-After', '1')
    return errorJson(c, 503, 'redis_unavailable', 'Redis does not answer; try again soon')
  }
  if (error instanceof HTTPException && error.status < 500) {
    return errorJson(c, error.status, 'bad_request', messageOf(error))
  }
  log.error('request failed', { path: c.req.path, error: causesOf(error) })
  return errorJson(c, 500, 'internal', 'something went wrong here; the log says what')
}

export function errorJson(
  c: Context,
  status: ContentfulStatusCode,
  code: string,
  message: string,
): Response {
  return c.json({ error: { code, message } }, status)
}
