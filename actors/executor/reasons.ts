/** Why a record is in the rejects, and what is kept of it there. */
export const rejectReasons = {
  null: 'null',
  utf8: 'utf8',
  json: 'json',
  decode: 'decode',
  schema: 'schema',
  time: 'time',
  future: 'future',
  late: 'late',
  rows: 'rows',
  value: 'value',
  group: 'group',
  groups: 'groups',
  threw: 'threw',
  poison: 'poison',
  hung: 'hung',
  corrupt: 'corrupt',
} as const
export type RejectReason = (typeof rejectReasons)[keyof typeof rejectReasons]

/** Verdicts that another run could give differently: they depend on time, order or fortune. */
export const timely: ReadonlySet<string> = new Set(
  'late partly future groups poison hung'.split(' '),
)

export interface Reject {
  partition: number
  offset: number
  reason: RejectReason
  message: string
  value: Buffer
}

export function lateMessage(eventTime: number, closedTo: number): string {
  const at = new Date(eventTime).toISOString()
  return `event time ${at}: its windows closed up to ${new Date(closedTo).toISOString()}`
}

/** A value that was not taken. */
export const shown = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number'
    ? String(value).slice(0, 100)
    : `a value of type ${typeof value}`
