/**
 * What may be asked of the HTTP interface, as valibot schemas: queries, bodies and names in paths are
 * checked by them, and GET /openapi.json is made from them. Whoever asks for too much, or for what is
 * not there, is told what is allowed.
 */
import * as v from 'valibot'
import { resultDelayRange } from '../actors/config.ts'
import { parseDuration } from '../actors/duration.ts'
import { isJobName, JOB_NAME_RULE } from '../actors/names.ts'
import { type QuotaName, quotaRange } from '../actors/quota.ts'

/** Executors that anybody may ask for; the same bound as EXECUTORS_MAX has. */
export const EXECUTORS_MOST = 64

const executorCount = (name: string) => {
  const message = `${name} must be a whole number from 0 to ${EXECUTORS_MOST}`
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(0, message),
    v.maxValue(EXECUTORS_MOST, message),
  )
}

const { fromMs, toMs } = resultDelayRange
const delayMessage = `maxResultDelayMs must be a whole number from ${fromMs} to ${toMs}`

const bodyMessage = `body must be {"min": …, "max": …}, both whole numbers from 0 to ${EXECUTORS_MOST}`

/** Body of POST /api/executors; what relates min and max is checked behind it. */
const limits = v.strictObject(
  {
    min: executorCount('min'),
    max: executorCount('max'),
    maxResultDelayMs: v.optional(
      v.pipe(
        v.number(delayMessage),
        v.integer(delayMessage),
        v.minValue(fromMs, delayMessage),
        v.maxValue(toMs, delayMessage),
      ),
    ),
  },
  (issue) =>
    issue.received === 'Object' || issue.expected === 'never'
      ? 'body must be {"min": …, "max": …, "maxResultDelayMs": … (optional)} and nothing else'
      : bodyMessage,
)
export const limitsSchema = v.pipe(limits, v.metadata({ examples: [{ min: 0, max: 4 }] }))

const quota = (name: QuotaName) => {
  const { from, to } = quotaRange[name]
  const message = `${name} must be a whole number from ${from} to ${to}, 0 for no quota`
  return v.optional(
    v.pipe(
      v.number(message),
      v.integer(message),
      v.minValue(from, message),
      v.maxValue(to, message),
    ),
  )
}

const quotasMessage =
  'body must be {"recordsPerSecond": …, "memoryMib": …}, one of them or both, and nothing else'

/** Body of POST /api/quotas; 0 ends a quota. */
export const quotasSchema = v.pipe(
  v.strictObject(
    { recordsPerSecond: quota('recordsPerSecond'), memoryMib: quota('memoryMib') },
    quotasMessage,
  ),
  v.check((given) => Object.keys(given).length > 0, quotasMessage),
  v.metadata({ examples: [{ recordsPerSecond: 500 }] }),
)

export const ROWS_MOST = 1_000

/** A limit in a query; absent `fallback`. Documented as the number that it stands for. */
export const limitOf = (fallback: number, most = ROWS_MOST) => {
  const message = `limit must be a whole number from 1 to ${most}`
  const isInBounds = (text: string) => /^\d{1,4}$/.test(text) && isBetween(Number(text))
  const isBetween = (limit: number) => limit >= 1 && limit <= most
  const limit = v.pipe(v.string(message), v.check(isInBounds, message), v.toNumber())
  const documented = { type: 'integer', minimum: 1, maximum: most, default: fallback }
  return v.pipe(
    v.optional(limit, String(fallback)),
    v.metadata({ ...documented, description: 'Rows of one answer, at the most' }),
  )
}

/** The id of a decision or a reject in a query. */
const idOf = (name: string, description: string) => {
  const message = `${name} must be the id of a row, such as 1769860800000-0`
  const id = v.pipe(v.string(message), v.regex(/^\d{1,15}-\d{1,19}$/, message))
  return v.optional(v.pipe(id, v.description(description)))
}

/** What pages of decisions and rejects go by: a cursor is the id of a page's last row. */
const spanFields = {
  since: idOf('since', 'Only what is newer than the row of this id, which is the newest one known'),
  cursor: idOf('cursor', 'The `next` of the page before, to go on to what is older'),
}

const iso = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/

/** A time in a query: ISO 8601 with its zone, a date in UTC, or epoch milliseconds. */
export const timeOf = (name: string, description: string) => {
  const message = `${name} must be ISO 8601 such as 2026-01-31T12:00:00Z, or epoch milliseconds`
  return v.optional(
    v.pipe(
      v.string(message),
      v.check((text) => Number.isFinite(epochMs(text)), message),
      v.description(`${description}: ISO 8601 with its zone, a date in UTC, or epoch milliseconds`),
      v.transform(epochMs),
    ),
  )
}

function epochMs(text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  return iso.test(text) ? Date.parse(text) : Number.NaN
}

/** Fields of the windows' query that are ours; a group field of the same name needs `key.` in front. */
const ownFields = {
  state: v.optional(
    v.pipe(
      v.picklist(['open', 'closed'], 'state must be open or closed'),
      v.description('Windows of this state alone; both without it'),
    ),
  ),
  from: timeOf('from', "The least start of a window's"),
  to: timeOf('to', 'The time before which windows start'),
  limit: limitOf(100),
  cursor: v.optional(
    v.pipe(
      v.string('cursor must be given once'),
      v.maxLength(12_000),
      v.description('The `next` of the page before'),
    ),
  ),
}

/** Query of GET /api/windows: ours and the job's group fields, each plain or as `key.<field>`. */
export function windowsQueryOf(groups: readonly string[]) {
  const one = (name: string) =>
    v.optional(
      v.pipe(
        v.string(`${name} must be given once`),
        v.description(`Only rows whose ${name} is this`),
      ),
    )
  const fields = groups.flatMap((name) => [
    [`key.${name}`, one(name)] as const,
    [name, one(name)] as const,
  ])
  return v.strictObject(
    { ...Object.fromEntries(fields), ...ownFields },
    unknownField([...Object.keys(ownFields), ...groups]),
  )
}

/** Which of the query's fields are the job's, by the name of the group field. */
export function groupFilterOf(
  groups: readonly string[],
  query: Record<string, unknown>,
): Record<string, string> {
  const wanted = groups.flatMap((name) => {
    const value = query[`key.${name}`] ?? (Object.hasOwn(ownFields, name) ? undefined : query[name])
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  return Object.fromEntries(wanted)
}

const minuteMs = 60_000
export const historySpan = { leastMs: minuteMs, mostMs: 24 * 60 * minuteMs }
const spanMessage = 'span must be a length of time from 1 minute to 1 day, such as 15min or 6h'

/** Windows that GET /api/windows/totals tells of at the most. */
export const TOTALS_MOST = 240

export const totalsQuery = v.strictObject(
  { limit: limitOf(120, TOTALS_MOST) },
  unknownField(['limit']),
)

/** Query of GET /api/history. */
export const historyQuery = v.strictObject(
  {
    span: v.optional(
      v.pipe(
        v.string(spanMessage),
        v.description('How far back: from 1 minute to 1 day, such as 15min or 6h'),
        v.transform((text) => parseDuration(text) ?? 0),
        v.minValue(historySpan.leastMs, spanMessage),
        v.maxValue(historySpan.mostMs, spanMessage),
      ),
      '15min',
    ),
    limit: limitOf(300),
  },
  unknownField(['span', 'limit']),
)

export const decisionsQuery = v.strictObject(
  { limit: limitOf(50), ...spanFields },
  unknownField(['limit', 'since', 'cursor']),
)

export const rejectsQuery = v.strictObject(
  {
    limit: limitOf(100),
    reason: v.optional(
      v.pipe(
        v.string('reason must be given once'),
        v.maxLength(100, 'reason may have 100 characters at the most'),
        v.description('Only rejects of this reason, such as json, schema or late'),
      ),
    ),
    ...spanFields,
  },
  unknownField(['limit', 'reason', 'since', 'cursor']),
)

/** Of what is asked without a query. */
export const noQuery = v.strictObject(
  {},
  (issue) => `unknown field ${issue.received}; no query is allowed here`,
)

export const executorParam = v.object({
  id: v.pipe(v.string(), v.description("The executor's id, as GET /api/executors tells it")),
})

export const jobParam = v.object({
  job: v.pipe(
    v.string(),
    v.check(isJobName, `the job's name must be ${JOB_NAME_RULE}`),
    v.description("The job's name, as GET /api/jobs tells it"),
  ),
})

function unknownField(allowed: readonly string[]) {
  return (issue: { received: string }) =>
    `unknown field ${issue.received}; allowed: ${allowed.join(', ')}`
}
