/** What sinks have, in the form of `Place.expected`: start → rows as text. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SQL } from 'bun'
import { parquetReadObjects } from 'hyparquet'
import type { Kafka } from 'kafkajs'
import type { Store } from '../../../actors/redis.ts'
import { uniqueName } from '../../../faults/names.ts'

interface JsonRow {
  start: string
  end: string
  key: unknown
  values: unknown
}

/** A row as text; `end` in epoch ms. */
export const rowText = (end: number, key: unknown, values: unknown): string =>
  JSON.stringify({ end, key, values })

/** By their starts, and then by their texts: what is there twice is so in two lists alike. */
export const inOrder = (found: Map<number, string[]>): Map<number, string[]> =>
  new Map(
    [...found].sort(([a], [b]) => a - b).map(([start, rows]) => [start, rows.toSorted()] as const),
  )

/** Rows that are one JSON text each. */
export function rowsIn(lines: readonly string[]): Map<number, string[]> {
  const found = new Map<number, string[]>()
  for (const line of lines) {
    const { start, end, key, values } = JSON.parse(line) as JsonRow
    const at = Date.parse(start)
    found.set(at, [...(found.get(at) ?? []), rowText(Date.parse(end), key, values)])
  }
  return inOrder(found)
}

export function filesIn(directory: string): Map<number, string[]> {
  const names = readdirSync(directory, { recursive: true }) as string[]
  const whole = names.filter((name) => name.endsWith('.ndjson')).sort()
  const lines = whole.flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
  return rowsIn(lines.filter((line) => line !== ''))
}

/** Of files of Parquet, by a reader that is not the writer's. */
export async function parquetIn(directory: string): Promise<Map<number, string[]>> {
  const names = readdirSync(directory, { recursive: true }) as string[]
  const whole = names.filter((name) => name.endsWith('.parquet')).sort()
  const lines: string[] = []
  for (const name of whole) {
    const file = await Bun.file(join(directory, name)).arrayBuffer()
    for (const row of await parquetReadObjects({ file })) {
      const { window_start: start, window_end: end, who, total, events } = row as ParquetRow
      lines.push(
        JSON.stringify({ start, end, key: { who }, values: { total, events: Number(events) } }),
      )
    }
  }
  return rowsIn(lines)
}

interface ParquetRow {
  window_start: Date
  window_end: Date
  who: string
  total: number
  events: bigint
}

interface TableRow {
  window_start: Date
  window_end: Date
  group_key: string
  total: string
  events: string
}

export async function tableIn(sql: SQL): Promise<Map<number, string[]>> {
  const query = 'select * from windows order by window_start, group_key collate "C"'
  const found = new Map<number, string[]>()
  for (const row of (await sql.unsafe(query)) as TableRow[]) {
    const start = row.window_start.getTime()
    const [who] = JSON.parse(row.group_key) as [string]
    const values = { total: Number(row.total), events: Number(row.events) }
    const text = rowText(row.window_end.getTime(), { who }, values)
    found.set(start, [...(found.get(start) ?? []), text])
  }
  return inOrder(found)
}

export async function streamIn(store: Store, key: string): Promise<Map<number, string[]>> {
  const entries = await store.redis.xrange(key, '-', '+')
  const lines = entries.flatMap(([, fields]) => {
    const rows = JSON.parse(fields[fields.indexOf('rows') + 1]!) as unknown[]
    return rows.map((row) => JSON.stringify(row))
  })
  return rowsIn(lines)
}

/**
 * Rows of a topic that a reader of committed records sees, in the order of their keys. A record that is put
 * behind them in each partition tells where they end.
 */
export async function topicIn(client: Kafka, topic: string): Promise<Map<number, string[]>> {
  const end = uniqueName('end')
  const partitions = await mark(client, topic, end)
  const found: { key: string; value: string }[] = []
  const ended = new Set<number>()
  const done = Promise.withResolvers<void>()
  const consumer = client.consumer({ groupId: end, readUncommitted: false })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: ({ partition, message }) => {
      const [key, value] = [String(message.key), String(message.value)]
      if (key !== END) found.push({ key, value })
      else if (value === end) ended.add(partition)
      if (ended.size === partitions) done.resolve()
      return Promise.resolve()
    },
  })
  await done.promise
  await consumer.disconnect()
  found.sort((a, b) => (a.key < b.key ? -1 : 1))
  return rowsIn(found.map(({ value }) => value))
}

const END = 'end'

async function mark(client: Kafka, topic: string, value: string): Promise<number> {
  const admin = client.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const producer = client.producer()
  await producer.connect()
  const messages = offsets.map(({ partition }) => ({ key: END, value, partition }))
  await producer.send({ topic, messages })
  await producer.disconnect()
  return offsets.length
}
