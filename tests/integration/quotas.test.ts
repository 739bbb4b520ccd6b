/**
 * A real pipeline within its quotas: no more comes in than may, what is over stays in Kafka, the status says
 * so, and when there is room again everything counts, once.
 */
import { expect, test } from 'bun:test'
import { until } from '../../faults/until.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

const RECORDS = 6_000
const PER_SECOND = 400

const produce = async (pipeline: Pipeline, count: number) => {
  const args = ['--topic', pipeline.topic.name, '--count', String(count), '--rate', '20000']
  const producer = pipeline.spawn(['actors/producer/main.ts', ...args, '--seed', '7'])
  expect(await producer.exited).toBe(0)
}

test('a pace is kept by two bridges together, told, and ended while it runs', async () => {
  const args = ['--from', 'earliest', '--quota-records-per-second', String(PER_SECOND)]
  const topic = { partitions: 4 }
  await withPipeline({ label: 'pace', job: 'students.ts', topic, args }, async (pipeline) => {
    await pipeline.begin()
    const other = pipeline.spawn(['actors/bridge/main.ts', pipeline.jobFile])
    await until('two bridges', async () => (await pipeline.alive('bridge')).length === 2)
    const began = (await pipeline.snapshot()).at
    await produce(pipeline, RECORDS)
    const { reason } = await until('it to be held', async () => {
      const status = await pipeline.status()
      return status.quota.heldBy === 'rate' ? status : null
    })
    expect(reason).toStartWith(`held by its quota of ${PER_SECOND} records a second`)
    const over: number[] = []
    await until('some seconds of it', async () => {
      const { at, totals } = await pipeline.snapshot()
      // A second ahead, and what each of the two has in one call: about another second.
      over.push(totals.appended - ((at - began) / 1_000 + 3) * PER_SECOND)
      return totals.appended > PER_SECOND * 6
    })
    expect(Math.max(...over)).toBeLessThanOrEqual(0)
    expect((await pipeline.status()).backlog.kafkaLag).toBeGreaterThan(0)
    await pipeline.post('/api/quotas', { recordsPerSecond: 0 })
    const { totals } = await pipeline.drained()
    expect(totals).toMatchObject({ appended: RECORDS, committed: RECORDS, counted: RECORDS })
    expect(await pipeline.verify()).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0 })
    other.kill('SIGTERM')
    await other.exited
  })
}, 120_000)

test('over its memory the bridge waits and says so; with more it goes on where it was', async () => {
  const topic = { partitions: 2 }
  const args = ['--from', 'earliest', '--quota-memory-mib', '64']
  await withPipeline({ label: 'memory', job: 'students.ts', topic, args }, async (pipeline) => {
    await pipeline.begin()
    await produce(pipeline, 1_000)
    await pipeline.drained()
    // Closed windows of a job that has gone on for long.
    const { redis } = pipeline.store
    const { closed } = pipeline.keys
    await redis.xadd(closed, '1-1', 'start', '0', 'end', '1', 'rows', 'x'.repeat(3 * 2 ** 20))
    await pipeline.post('/api/quotas', { memoryMib: 2 })
    const { reason, state } = await until('it to be held', async () => {
      const status = await pipeline.status()
      return status.quota.heldBy === 'memory' ? status : null
    })
    expect(state).toBe('running')
    expect(reason).toMatch(
      /held by its memory quota: it uses \d.* of 2 MiB in Redis \(stream .*closed windows 3/,
    )
    await produce(pipeline, 40_000)
    await until(
      'Kafka to hold what is over',
      async () => {
        const { backlog, executors } = await pipeline.status()
        return (backlog.kafkaLag ?? 0) > 20_000 && executors.count === 0
      },
      { timeoutMs: 40_000 },
    )
    await redis.xdel(closed, '1-1')
    await pipeline.post('/api/quotas', { memoryMib: 64 })
    const { totals } = await pipeline.drained()
    expect(totals).toMatchObject({ appended: 41_000, committed: 41_000 })
    expect(await pipeline.verify()).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0 })
  })
}, 150_000)
