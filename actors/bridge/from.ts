/**
 * Where a job begins in a topic that it has not read before: at the first record that Kafka has, behind
 * the last, at the first record from a time on, or at an offset of each partition.
 */
import { RefusalError, UsageError } from '../errors.ts'
import type { TopicReader } from '../kafka.ts'

export type From =
  | 'earliest'
  | 'latest'
  /** Epoch ms, by Kafka's timestamps. */
  | { time: number }
  /** Offset by partition; partitions that are not named begin at their first record. */
  | { offsets: ReadonlyMap<number, number> }

export const FROM_FORMS =
  'earliest, latest, a time such as 2026-01-31T12:00:00Z, or offsets such as 0:1500,1:1720'

/**
 * What --from says; `fallback` where it is absent.
 * @throws UsageError that names the forms
 */
export function fromFlag(text: string | undefined, fallback: From): From {
  if (text === undefined) return fallback
  if (text === 'earliest' || text === 'latest') return text
  if (/^\d+:\d+(,\d+:\d+)*$/.test(text)) return { offsets: offsetsOf(text) }
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (Number.isFinite(time)) return { time }
  throw new UsageError(`--from must be ${FROM_FORMS}, not ${JSON.stringify(text)}`)
}

function offsetsOf(text: string): Map<number, number> {
  const pairs = text.split(',').map((pair) => pair.split(':').map(Number) as [number, number])
  const offsets = new Map(pairs)
  if (offsets.size < pairs.length) throw new UsageError(`--from names a partition twice: ${text}`)
  return offsets
}

/** As the flag says it, for a child's command line. */
export function fromText(from: From): string {
  if (typeof from === 'string') return from
  if ('time' in from) return new Date(from.time).toISOString()
  return Array.from(from.offsets, ([partition, offset]) => `${partition}:${offset}`).join(',')
}

/**
 * Where each partition begins. `earliest` and `latest` are what Kafka has now.
 * @throws RefusalError where an offset is named that Kafka does not have (any more)
 */
export async function startOf(
  from: From,
  kafka: Pick<TopicReader, 'offsetsFrom'>,
  { earliest, latest }: { earliest: Map<number, number>; latest: Map<number, number> },
): Promise<Map<number, number>> {
  if (from === 'earliest') return earliest
  if (from === 'latest') return latest
  if ('time' in from) {
    const found = await kafka.offsetsFrom(from.time, [...latest.keys()])
    // Nothing so young in the partition: it begins with what comes.
    return new Map(Array.from(latest, ([p, end]) => [p, found.get(p) ?? end]))
  }
  const { offsets } = from
  const unknown = [...offsets.keys()].find((partition) => !latest.has(partition))
  if (unknown !== undefined)
    throw new RefusalError(`--from names partition ${unknown}, which the topic has not`)
  for (const [partition, offset] of offsets) {
    const [first, end] = [earliest.get(partition) ?? 0, latest.get(partition) ?? 0]
    if (offset >= first && offset <= end) continue
    throw new RefusalError(
      `--from names offset ${offset} of partition ${partition}; Kafka has ${first} to ${end}`,
    )
  }
  return new Map(Array.from(earliest, ([p, first]) => [p, offsets.get(p) ?? first]))
}
