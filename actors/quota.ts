/**
 * A job's quotas, as they stand in Redis: how many records a second and how much of Redis's memory it may
 * have. What is over stays in Kafka: the bridge waits, and nothing is lost.
 *
 *   `control` what is allowed ┐
 *   `quota` what is used      ┴→ here → status, `why`, metrics; append.lua and bridge/pace.ts hold the bridge
 *
 * Pure.
 */

/** The most that may be asked for; 0 stands for no quota. */
export const quotaRange = {
  recordsPerSecond: { from: 0, to: 10_000_000 },
  memoryMib: { from: 0, to: 1_048_576 },
} as const

/** Fields of the control hash. */
export const quotaFields = {
  recordsPerSecond: 'quotaRecordsPerSecond',
  memoryMib: 'quotaMemoryMib',
} as const

export type QuotaName = keyof typeof quotaFields

/** A bridge that is held by its pace says so at least this often; ms. */
const heldFreshMs = 3_000

export const holders = { rate: 'rate', memory: 'memory' } as const
export type Holder = (typeof holders)[keyof typeof holders]

/** Where memory is, in bytes. */
export interface MemoryParts {
  entries: number
  panes: number
  closed: number
  rest: number
}

export interface QuotaState {
  /** What is allowed; null for no quota. */
  recordsPerSecond: number | null
  memoryBytes: number | null
  /** What the job has in Redis; null where that was not measured, as it is only with a quota. */
  used: MemoryParts | null
  /** By which of them the bridge is held now. */
  heldBy: Holder | null
}

/** `at` is Redis's clock, epoch ms. */
export function quotaOf(
  control: Record<string, string>,
  quota: Record<string, string>,
  at: number,
): QuotaState {
  const recordsPerSecond = allowed(control, 'recordsPerSecond')
  const mib = allowed(control, 'memoryMib')
  const paced = recordsPerSecond !== null && at - Number(quota.heldAt ?? 0) <= heldFreshMs
  const full = mib !== null && quota.memoryHeld === '1'
  return {
    recordsPerSecond,
    memoryBytes: mib === null ? null : mib * 2 ** 20,
    used: mib === null ? null : partsOf(quota),
    heldBy: full ? holders.memory : paced ? holders.rate : null,
  }
}

/** What the control hash allows; null for no quota, and for what makes no sense. */
export function allowed(control: Record<string, string>, name: QuotaName): number | null {
  const text = control[quotaFields[name]] ?? ''
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  return value > 0 ? value : null
}

/**
 * What each shard may have of a job's records a second, as `append` reads it: by its share of the partitions, so
 * that all together have what the job may. One without partitions reads nothing, and has as much as one of
 * them, for when one comes.
 */
export function pacesOf(recordsPerSecond: number, partitions: readonly number[]): string[] {
  const all = partitions.reduce((sum, count) => sum + count, 0)
  const shares = all === 0 ? partitions.map(() => 1 / partitions.length) : null
  return partitions.map((count, shard) => {
    const share = shares?.[shard] ?? Math.max(1, count) / all
    return (recordsPerSecond * share).toFixed(6)
  })
}

export const memoryUsed = (parts: MemoryParts): number =>
  parts.entries + parts.panes + parts.closed + parts.rest

/** Why the bridge is held, for people; null where it is not. */
export function heldText({ heldBy, recordsPerSecond, memoryBytes, used }: QuotaState) {
  switch (heldBy) {
    case null:
      return null
    case 'rate':
      return `held by its quota of ${recordsPerSecond} records a second: what is over waits in Kafka`
    case 'memory': {
      const parts = used === null ? '' : ` (${partsText(used)})`
      const uses = used === null ? 'more' : mib(memoryUsed(used))
      return `held by its memory quota: it uses ${uses} of ${mib(memoryBytes ?? 0)} MiB in Redis${parts}; records wait in Kafka`
    }
    default:
      return heldBy satisfies never
  }
}

const partsText = ({ entries, panes, closed, rest }: MemoryParts): string =>
  `stream ${mib(entries)}, open windows ${mib(panes)}, closed windows ${mib(closed)}, rest ${mib(rest)}`

/** 0.4, 12 */
const mib = (bytes: number): string => {
  const value = bytes / 2 ** 20
  return String(value < 10 ? Math.round(value * 10) / 10 : Math.round(value))
}

function partsOf(quota: Record<string, string>): MemoryParts | null {
  const [entries, panes, closed, rest] = (quota.memory ?? '').split(' ').map(Number)
  if (rest === undefined) return null
  return { entries: entries!, panes: panes!, closed: closed!, rest }
}
