/**
 * Whether a question can be understood, before it is answered: its path, its query and its body. Every
 * refusal has the form of all errors (errors.ts) and says what is allowed.
 */
import type { MiddlewareHandler } from 'hono'
import { validator } from 'hono-openapi'
import type * as v from 'valibot'
import { HttpError } from './errors.ts'
import { noQuery } from './queries.ts'

type Target = 'query' | 'json' | 'param'

/** A validator whose refusal has our form. */
export function checked<T extends Target, Schema extends v.GenericSchema>(
  target: T,
  schema: Schema,
) {
  return validator(
    target,
    schema,
    (result) => {
      if (!result.success) {
        throw badRequest(result.error[0]?.message ?? 'the question can not be used')
      }
    },
    { options: { typeMode: 'input', errorMode: 'ignore' } },
  )
}

/** For what is asked without a query. */
export const withoutQuery = checked('query', noQuery)

/** For calls whose path says all: whoever sends something else with them means something else. */
export const withoutBody: MiddlewareHandler = async (c, next) => {
  const text = await c.req.text()
  if (text.trim() !== '' && !isEmptyObject(text)) throw badRequest('body must be empty, or {}')
  await next()
}

/** Percent-encoding that is broken would otherwise be taken as it stands. */
export const wellEncoded: MiddlewareHandler = async (c, next) => {
  if (!isDecodable(c.req.url)) throw badRequest('the percent-encoding of the address is broken')
  await next()
}

function isEmptyObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json)
    return value !== null && !Array.isArray(value) && JSON.stringify(value) === '{}'
  } catch {
    return false
  }
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const badRequest = (message: string) => new HttpError(400, 'bad_request', message)
