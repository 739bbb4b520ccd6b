/**
 * The command as a process, for a job whose names are in the environment; and a topic's records with
 * their keys and headers, as they are committed.
 */
import { join } from 'node:path'
import { RecordCursor } from '../../actors/executor/records.ts'
import { RawKafka } from '../../actors/kafka.ts'
import type { TestTopic } from '../../faults/topic.ts'
import { readRecord } from '../../rejects/originals.ts'
import { REPLAY_HEADER } from '../../rejects/replay.ts'
import { testServices } from '../support/services.ts'
import { runCommand as run } from '../support/command.ts'

const root = join(import.meta.dir, '..', '..')
const job = join(root, 'tests/fixtures/jobs/picky.ts')

export async function commandOf(name: string, topic: string, args: string[]) {
  const { environment } = await testServices()
  const [action, ...rest] = args
  return [
    ['rejects/main.ts', action!, job, ...rest],
    {
      PATH: process.env.PATH ?? '',
      ...environment,
      MILLRACE_TEST_JOB: name,
      MILLRACE_TEST_TOPIC: topic,
    },
  ] as const
}

/** Runs it to its end; `last` is its last line. */
export async function runCommand(name: string, topic: string, args: string[]) {
  const { code, out, err } = await run(...(await commandOf(name, topic, args)))
  return { code, out, err, last: out.trim().split('\n').at(-1) ?? '' }
}

export interface TopicRecord {
  partition: number
  offset: number
  timestamp: number
  key: string | null
  value: string | null
  headers: Record<string, string>
}

export async function committedRecords({ kafka, name }: TestTopic): Promise<TopicRecord[]> {
  const raw = new RawKafka(kafka, name)
  const found: TopicRecord[] = []
  try {
    const [about] = await raw.connect()
    const { partitions } = about!
    const starts = await raw.offsets('earliest', partitions)
    for (const [node, led] of raw.leaders(partitions)) {
      for (const partition of led) {
        for (let offset = starts.get(partition)!; ; ) {
          const [fetched] = await raw.fetch(node, [{ partition, offset }], 0)
          for (const { bytes, from, to } of fetched!.batches) {
            const cursor = new RecordCursor(bytes, Math.max(from, offset), to)
            while (cursor.next() === 'record') found.push(recordOf(partition, cursor))
          }
          if (fetched!.next === offset) break
          offset = fetched!.next
        }
      }
    }
  } finally {
    await raw.close()
  }
  return found
}

/** Of each replay in the topic, whose it is, in order. */
export const replaysIn = (records: readonly TopicRecord[]): string[] =>
  records.flatMap(({ headers }) => headers[REPLAY_HEADER]?.split(' ')[1] ?? []).sort()

function recordOf(partition: number, cursor: RecordCursor): TopicRecord {
  const { key, value, headers } = readRecord(cursor.buffer, cursor.recordAt)
  const texts = Object.entries(headers).map(([name, content]) => [name, String(content)])
  return {
    partition,
    offset: cursor.offset,
    timestamp: cursor.timestamp,
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
    headers: Object.fromEntries(texts) as Record<string, string>,
  }
}
