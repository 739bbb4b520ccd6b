/**
 * GET /openapi.json: what each route says of itself, gathered from the routes and their schemas.
 *
 *   describe (in app.ts, at each route) + schemas + examples → document, made once at the first question
 */
import type { Hono, MiddlewareHandler } from 'hono'
import { describeRoute, generateSpecs, resolver } from 'hono-openapi'
import type * as v from 'valibot'
import { exampleOf, examplesOfFailure, type OperationId } from './examples.ts'
import { errorSchema } from './schemas.ts'

const tags = {
  State: 'What the job does now, and why.',
  Records: 'Windows, and records that were not counted.',
  Control:
    'Changes. They come from our own page or from a program, with the token where one is set, and' +
    ' otherwise from this machine.',
  Health: 'For whoever watches over this process.',
} as const

/** What can go wrong, as a component that operations refer to. */
const failures = {
  BadRequest: [400, 'The question can not be used; the message says what is allowed'],
  TokenNeeded: [401, 'The token is missing or wrong'],
  Forbidden: [403, 'The Host, the origin or the address of the caller is not allowed'],
  NotFound: [404, 'There is no such thing'],
  Conflict: [409, 'It is not in a state in which that could be done'],
  BodyTooLarge: [413, 'The body has more than 64 KB'],
  JsonOnly: [415, 'The body is not JSON'],
  Internal: [500, 'A bug; the log says more'],
  RedisUnavailable: [503, 'Redis does not answer; ask again'],
  TooManyListeners: [503, 'As many listen as may'],
} as const satisfies Record<string, [status: number, description: string]>
export type Failure = keyof typeof failures

const ofAll: readonly Failure[] = ['BadRequest', 'Forbidden', 'Internal']
const ofReads: readonly Failure[] = [...ofAll, 'RedisUnavailable']
const ofControl: readonly Failure[] = [...ofReads, 'TokenNeeded', 'BodyTooLarge', 'JsonOnly']

/** What every operation of a kind can fail with. */
const failuresByTag: Record<keyof typeof tags, readonly Failure[]> = {
  State: ofReads,
  Records: ofReads,
  Control: ofControl,
  Health: ofAll,
}

interface Operation {
  id: OperationId
  tag: keyof typeof tags
  summary: string
  description?: string
  /** Of its answers in JSON, by status. */
  answers: Partial<Record<200 | 503, v.GenericSchema>>
  /** Those that it has besides those of every operation of its kind. */
  fails?: readonly Failure[]
  /** It may be asked with a condition, and then answers 304. */
  conditional?: boolean
}

/** Describes a route that answers in JSON. */
export function describe({ id, tag, answers, fails = [], ...rest }: Operation): MiddlewareHandler {
  const { conditional = false, ...texts } = rest
  const described = Object.entries(answers).map(([status, schema]) => {
    const example = exampleOf(id, Number(status) as 200 | 503)
    const json = { schema: resolver(schema), example }
    return [status, { description: texts.summary, content: { 'application/json': json } }] as const
  })
  return describeRoute({
    ...texts,
    operationId: id,
    tags: [tag],
    ...(tag === 'Control' && { security: [{ token: [] }] }),
    responses: {
      ...failuresOf([...failuresByTag[tag], ...fails]),
      ...Object.fromEntries(described),
      ...(conditional && notModified),
    },
  })
}

/** Describes one that answers in another form. */
export function describeText(
  operation: Omit<Operation, 'answers'>,
  answer: { type: string; description: string },
): MiddlewareHandler {
  const { id, tag, summary, description = summary, fails = [] } = operation
  const content = { [answer.type]: { schema: { type: 'string' as const } } }
  return describeRoute({
    summary,
    description,
    operationId: id,
    tags: [tag],
    responses: {
      ...failuresOf([...failuresByTag[tag], ...fails]),
      200: { description: answer.description, content },
    },
  })
}

/** Describes the body of a control call that needs none. */
export const noBody = describeRoute({
  requestBody: {
    required: false,
    content: { 'application/json': { schema: { type: 'object', maxProperties: 0 }, example: {} } },
  },
})

/** The document of an app's routes, as text. */
export async function documentOf(app: Hono): Promise<string> {
  const document = await generateSpecs(app, {
    documentation: {
      info: {
        title: 'Millrace',
        version: '1',
        description,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'This process' }],
      security: [],
      tags: Object.entries(tags).map(([name, text]) => ({ name, description: text })),
      components: { securitySchemes, responses: responses() },
    },
    defaultValidationErrorResponse: false,
  })
  return JSON.stringify(document)
}

const description = `State and control of one streaming job.

All answers are JSON, but for the metrics and the event stream; times are ISO 8601 in UTC; a number that
is not known is null. Every failure has the form \`{"error": {"code", "message"}}\`, also for a path that
is not there (404, \`not_found\`) and a method that is not allowed (405, \`method_not_allowed\`, with
\`Allow\`). Nothing is answered to pages of other origins.

Who asks again and again: \`GET /api/events\` tells of changes as they come. Otherwise decisions and
rejects take \`since\`, the id of the newest row that is known; windows and this document answer
\`If-None-Match\` with 304 where nothing has changed. The status, the executors, the cost and the loop
are other ones at each look, and small.`

const securitySchemes = {
  token: {
    type: 'http',
    scheme: 'bearer',
    description:
      'MILLRACE_TOKEN. Where none is set, control calls need none and work from this machine only.',
  },
} as const

const notModified = { 304: { description: 'Nothing has changed since the answer of this ETag' } }

function failuresOf(names: readonly Failure[]) {
  return Object.fromEntries(
    names.map((name) => [failures[name][0], { $ref: `#/components/responses/${name}` }]),
  )
}

function responses() {
  const entries = Object.entries(failures) as [Failure, (typeof failures)[Failure]][]
  return Object.fromEntries(
    entries.map(([name, [, text]]) => {
      const json = { schema: resolver(errorSchema), examples: examplesOfFailure(name) }
      return [name, { description: text, content: { 'application/json': json } }]
    }),
  )
}
