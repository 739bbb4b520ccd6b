/**
 * Records to look at before there is a job: the first of a topic, or lines of a file. A topic is only
 * read: there is no consumer group, and nothing of it changes.
 */
import { readFileSync } from 'node:fs'
import { messageOf, RefusalError, UsageError } from '../actors/errors.ts'
import { RecordCursor } from '../actors/executor/records.ts'
import type { FetchedPartition } from '../actors/fetched.ts'
import type { RawKafka } from '../actors/kafka.ts'

export interface Sample {
  /** JSON objects. */
  records: object[]
  /** Values that were something else: no JSON, no object, nothing. */
  others: number
}

/** Kafka has this long to come up with records that it says it has. */
const FETCH_MS = 2_000

/** Lines of a file, the first `count` of them. @throws UsageError where there is none */
export function sampleOfFile(path: string, count: number): Sample {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--from-file ${path} can't be read: ${messageOf(error)}`)
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return sampleOf(lines.slice(0, count), `--from-file ${path}`)
}

/** The first `count` records of a topic, about as many of each partition. */
export async function sampleOfTopic(raw: RawKafka, topic: string, count: number): Promise<Sample> {
  const [found] = await raw.connect()
  if (!found) throw new RefusalError(`topic ${topic} does not exist`)
  const { partitions } = found
  const first = await raw.offsets('earliest', partitions)
  const last = await raw.offsets('latest', partitions)
  const sizes = partitions
    .map((partition) => {
      const [from, to] = [first.get(partition) ?? 0, last.get(partition) ?? 0]
      return { partition, from, to }
    })
    .sort((a, b) => a.to - a.from - (b.to - b.from))
  const values: (string | null)[] = []
  for (const [i, range] of sizes.entries()) {
    const share = Math.ceil((count - values.length) / (sizes.length - i))
    values.push(...(await firstOf(raw, range, share)))
  }
  return sampleOf(values, `topic ${topic}`)
}

/** The first records of one partition; fewer where it has no more. */
async function firstOf(
  raw: RawKafka,
  { partition, from, to }: { partition: number; from: number; to: number },
  count: number,
): Promise<(string | null)[]> {
  const values: (string | null)[] = []
  for (let offset = from; offset < to && values.length < count; ) {
    const [node] = [...raw.leaders([partition]).keys()]
    if (node === undefined) throw new RefusalError(`partition ${partition} has no leader`)
    const fetched = await raw.fetch(node, [{ partition, offset }], FETCH_MS)
    const [answer] = fetched
    if (answer?.error) throw new RefusalError(`partition ${partition}: Kafka said ${answer.error}`)
    const next = answer?.batches.at(-1)?.to ?? offset
    if (answer) values.push(...valuesIn(answer, offset, count - values.length))
    raw.release(fetched)
    // What is left are records of a transaction that is not over.
    if (next <= offset) break
    offset = next
  }
  return values
}

/** Copies, since the bytes go back. A batch that can't be read is left out. */
function valuesIn({ batches }: FetchedPartition, from: number, most: number): (string | null)[] {
  const values: (string | null)[] = []
  for (const batch of batches) {
    const cursor = new RecordCursor(batch.bytes, from, batch.to)
    for (let step = cursor.next(); step !== 'end'; step = cursor.next()) {
      if (values.length === most) return values
      if (step === 'corrupt') continue
      const { buffer, start, end } = cursor
      values.push(start < 0 ? null : buffer.toString('utf8', start, end))
    }
  }
  return values
}

function sampleOf(values: readonly (string | null)[], source: string): Sample {
  const records = values.flatMap((value) => objectIn(value) ?? [])
  if (records.length > 0) return { records, others: values.length - records.length }
  const found = values.length === 0 ? 'holds no record' : 'holds no record that is a JSON object'
  throw new RefusalError(`${source} ${found}`)
}

function objectIn(text: string | null): object | null {
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}
