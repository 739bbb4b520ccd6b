/**
 * Windows that are told more than once, end to end: late records by way of Kafka change closed windows,
 * sinks get each telling once and in order, also while executors and the sinks' process are killed, and
 * the verification finds the same.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../actors/clock.ts'
import { killOne } from '../../faults/actions/processes.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { filesIn } from '../actors/sinks/found.ts'
import { connect, testRedisUrl } from '../support/redis.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

const T = 1_700_000_000_000
const RECORDS = 20_000

const record = (ms: number, who: string, partition = 0, amount = 0.5) => ({
  value: JSON.stringify({ at: T + ms, who, amount }),
  partition,
})

interface Told {
  start: string
  end: string
  state: string
  revision: number
  final: boolean
  key: { who: string }
  values: { events: number }
}

/** The rows of the stream `every`, by telling and in its order. */
async function tellings(key: string): Promise<Told[][]> {
  const store = await connect()
  const entries = await store.redis.xrange(key, '-', '+')
  await store.close()
  return entries.map(([, fields]) => JSON.parse(fields[fields.indexOf('rows') + 1]!) as Told[])
}

async function closed(pipeline: Pipeline): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>()
  for (const { start, end, key, values } of (await pipeline.windows('state=closed')).toReversed()) {
    const rows = found.get(Date.parse(start)) ?? []
    const row = JSON.stringify({ end: Date.parse(end), key, values })
    found.set(Date.parse(start), [...rows, row].sort())
  }
  return found
}

test('late records change closed windows, and every telling comes once', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-told-'))
  const stream = uniqueName('told-stream')
  const environment = { TEST_DIRECTORY: directory, TEST_STREAM: stream, TEST_REDIS: testRedisUrl }
  const options = { label: 'told', job: 'told.ts', topic: { partitions: 2 }, environment }
  await withPipeline(options, async (pipeline) => {
    await pipeline.begin()
    const row = async (start: number) =>
      (await pipeline.windows('state=closed')).find((one) => Date.parse(one.start) === T + start)
    // [0, 10) is closed by both partitions, and final once both are beyond 72 s.
    await pipeline.topic.produce([record(1_000, 'a'), record(20_000, 'a'), record(20_000, 'a', 1)])
    await until('it to be closed', () => row(0))
    await pipeline.topic.produce([record(2_000, 'a'), record(3_000, 'a', 1)])
    await until('both to be told', async () => (await row(0))?.values.events === 3)
    expect((await row(0))!.revision).toBeGreaterThan(0)
    expect((await pipeline.statusNow()).totals).toMatchObject({ late: 0, unaccounted: 0 })
    expect(await pipeline.verify()).toMatchObject({ ok: true, counts: { partly: 0, late: 0 } })

    // Many of them up to a minute late, while processes die.
    const random = seededRandom(11)
    const many = Array.from({ length: RECORDS }, (_, i) =>
      record(20_000 + i * 4 - random() * 55_000, `w${Math.floor(random() * 20)}`, i % 2, random()),
    )
    for (let i = 0; i < 4; i++) {
      await pipeline.topic.produce(many.slice((i * RECORDS) / 4, ((i + 1) * RECORDS) / 4))
      await until('somebody to kill', async () => {
        const kind = i % 2 === 0 ? 'executor' : 'sinks'
        return (await killOne(pipeline, kind, random)) !== null
      })
    }
    await pipeline.topic.produce([record(400_000, 'z'), record(400_000, 'z', 1)])
    await pipeline.drained()
    await until('all to be final', async () => {
      const { closedTo } = await pipeline.snapshot()
      return closedTo !== null && closedTo >= T + 390_000
    })
    const report = await pipeline.verify()
    expect(report).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0, unaccounted: 0 })
    expect(report.windows.closed).toBeGreaterThan(20)

    await until('the files', async () => Bun.deepEquals(filesIn(directory), await closed(pipeline)))
    const windows = new Set((await pipeline.windows('state=closed')).map(({ start }) => start))
    const newest = new Map<string, Told[]>()
    await until('the stream', async () => {
      newest.clear()
      for (const rows of await tellings(stream)) newest.set(rows[0]!.start, rows)
      return [...windows].every((start) => newest.get(start)?.[0]!.state === 'closed')
    })
    // Each telling once, in order: numbers rise by one.
    const numbers = new Map<string, number[]>()
    for (const [first] of await tellings(stream)) {
      numbers.set(first!.start, [...(numbers.get(first!.start) ?? []), first!.revision])
    }
    for (const found of numbers.values()) expect(found).toEqual(found.map((_, i) => i))
    for (const [start, rows] of newest) {
      const now = (await closed(pipeline)).get(Date.parse(start))
      const told = rows.map(({ end, key, values }) =>
        JSON.stringify({ end: Date.parse(end), key, values }),
      )
      if (now) expect(told.sort()).toEqual(now)
    }
    const names = readdirSync(directory, { recursive: true }) as string[]
    expect(names.filter((name) => name.endsWith('.ndjson'))).toHaveLength(windows.size)
  })
  const store = await connect()
  await store.redis.del(stream, `{${stream}}:position`)
  await store.close()
  rmSync(directory, { recursive: true, force: true })
}, 120_000)
