/**
 * A job with all topics that match: of different sizes, one of them made while it runs and its bridge is
 * killed. All of it counts once, under the right names; one that is made again is refused.
 */
import { expect, test } from 'bun:test'
import { student } from '../../faults/student.ts'
import { createTopic, type TestTopic } from '../../faults/topic.ts'
import { until } from '../../faults/until.ts'
import { killQuietly, type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { parseExposition } from '../support/exposition.ts'
import { expectExact } from './exact.ts'

const patiently = { timeoutMs: 90_000 }
const options = {
  label: 'topics',
  job: 'students-several.ts',
  topic: { partitions: 3 },
  // Numbers of topics have to be the same in all of them.
  shards: 2,
}
const RECORDS = 600

const records = (count: number) =>
  Array.from({ length: count }, (_, i) => student({ lines_of_code: i % 7 }))

/** Another topic that the job reads. */
async function another(pipeline: Pipeline, end: string, partitions: number): Promise<TestTopic> {
  const { kafkaBrokers } = pipeline.topic
  return createTopic('topics', { name: `${pipeline.name}.${end}`, partitions, kafkaBrokers })
}

const committed = async (pipeline: Pipeline) => (await pipeline.snapshot()).totals.committed

test('topics of different sizes, one found while the bridge is killed, count once each', async () => {
  await withPipeline(options, async (pipeline) => {
    const b = await another(pipeline, 'b', 1)
    const topics = [b]
    try {
      await Promise.all([pipeline.topic.produce(records(RECORDS)), b.produce(records(RECORDS))])
      await pipeline.begin()
      await until(
        'both to be committed',
        async () => (await committed(pipeline)) === 2 * RECORDS,
        patiently,
      )

      const bridge = (await pipeline.alive('bridge'))[0]!
      const c = await another(pipeline, 'c', 2)
      topics.push(c)
      killQuietly(bridge.pid, 'SIGKILL')
      await c.produce([...records(RECORDS), { value: 'no JSON', partition: 1 }])
      await pipeline.topic.produce(records(RECORDS))
      await until(
        'all to be committed',
        async () => (await committed(pipeline)) === 4 * RECORDS + 1,
        patiently,
      )

      const report = await expectExact(pipeline)
      expect(
        report.partitions.map(
          ({ topic, partition }) => `${topic.slice(pipeline.name.length)}/${partition}`,
        ),
      ).toEqual(['/0', '/1', '/2', '.b/0', '.c/0', '.c/1'])
      await tellsTopics(pipeline)
      await isExamined(pipeline)
      await replays(pipeline, c)
    } finally {
      for (const topic of topics) await topic.delete().catch(() => {})
    }
  })
}, 240_000)

/** The API, the metrics and Kafka's own tools name the topics. */
async function tellsTopics(pipeline: Pipeline): Promise<void> {
  const names = ['', '.b', '.c'].map((end) => pipeline.name + end)
  const rows = await pipeline.windows()
  expect([...new Set(rows.map(({ key }) => String(key.topic)))].sort()).toEqual(['', '.b', '.c'])
  expect(await pipeline.rejects()).toMatchObject([
    { topic: names[2], partition: 1, reason: 'json' },
  ])
  const { watermarkHeldBy, watermarkHeldByTopic } = await pipeline.status()
  expect([null, ...names]).toContain(watermarkHeldByTopic)
  expect(watermarkHeldBy ?? 0).toBeLessThan(3)
  const metrics = parseExposition(await (await pipeline.fetch('/metrics')).text())
  const lag = metrics.get('millrace_partition_lag_records')!.samples
  expect(lag.map(({ labels }) => `${labels.topic}/${labels.partition}`).sort()).toEqual(
    [
      ...[0, 1, 2].map((p) => `${names[0]}/${p}`),
      `${names[1]}/0`,
      `${names[2]}/0`,
      `${names[2]}/1`,
    ].sort(),
  )
  const admin = pipeline.topic.kafka.admin()
  await admin.connect()
  try {
    await until('Kafka to be told of each topic', async () => {
      const told = await admin.fetchOffsets({ groupId: `millrace-${pipeline.name}`, topics: names })
      return told.every(({ partitions }) => partitions.every(({ offset }) => Number(offset) > 0))
    })
  } finally {
    await admin.disconnect()
  }
}

/** Doctor looks at each topic, and at where the job is in it. */
async function isExamined(pipeline: Pipeline): Promise<void> {
  const child = pipeline.spawn(['doctor/main.ts', pipeline.jobFile])
  expect(await child.exited).toBe(0)
  for (const [end, size] of [
    ['', '3 partitions'],
    ['.b', '1 partition'],
    ['.c', '2 partitions'],
  ]) {
    expect(pipeline.logLines(new RegExp(`topic .*${pipeline.name}${end}, ${size}$`))).toHaveLength(
      1,
    )
  }
  expect(pipeline.logLines(/within what Kafka holds/)).toHaveLength(3)
}

/** The record goes to its own topic again, and is rejected there again. */
async function replays(pipeline: Pipeline, topic: TestTopic): Promise<void> {
  const before = await topic.ends()
  const place = `${topic.name}:1:`
  const [reject] = await pipeline.rejects()
  const child = pipeline.spawn([
    'rejects/main.ts',
    'replay',
    pipeline.jobFile,
    '--offset',
    `${place}${reject!.offset}`,
  ])
  expect(await child.exited).toBe(0)
  expect(pipeline.logLines(/done before/)).toEqual(['replayed 1, done before 0, kept 0'])
  // Kafka ends the transaction a moment after it has said so.
  await until('the record to be there', async () => (await topic.ends())[1]! > before[1]!)
  expect((await topic.ends())[0]).toBe(before[0])
  await until('the replayed record to be rejected', async () => {
    const rejects = await pipeline.rejects()
    return rejects.length === 2 && rejects.every((one) => one.topic === topic.name)
  })
  await expectExact(pipeline)
}

test('one of several that is made again is refused, and named', async () => {
  await withPipeline(options, async (pipeline) => {
    const b = await another(pipeline, 'b', 2)
    try {
      await Promise.all([pipeline.topic.produce(records(100)), b.produce(records(100))])
      await pipeline.begin()
      await until(
        'both to be committed',
        async () => (await committed(pipeline)) === 200,
        patiently,
      )
      await b.recreate()
      const reason = new RegExp(`topic ${b.name} was deleted and made again`)
      await until(
        'the refusal',
        async () => reason.test((await pipeline.status()).reason ?? ''),
        patiently,
      )
    } finally {
      await b.delete().catch(() => {})
    }
  })
}, 180_000)

test('one of several that is deleted is left; what was read of it counts, and others go on', async () => {
  await withPipeline(options, async (pipeline) => {
    const b = await another(pipeline, 'b', 2)
    await Promise.all([pipeline.topic.produce(records(100)), b.produce(records(100))])
    await pipeline.begin()
    await until('both to be committed', async () => (await committed(pipeline)) === 200, patiently)
    await b.delete()
    const left = new RegExp(`topic ${b.name} was deleted; what was read of it counts`)
    await until('it to be left', () => pipeline.logLines(left).length > 0, patiently)
    await pipeline.topic.produce(records(100))
    await until('the other to go on', async () => (await committed(pipeline)) === 300, patiently)
    const { state, backlog, watermarkHeldByTopic } = await pipeline.status()
    expect({ state, lag: backlog.kafkaLag }).toEqual({ state: 'running', lag: 0 })
    expect(watermarkHeldByTopic).not.toBe(b.name)
  })
}, 180_000)

test('from one topic to two, and back where the operator says so', async () => {
  const environment: Record<string, string> = {}
  const listed = {
    label: 'listed',
    job: 'students-listed.ts',
    topic: { partitions: 2 },
    environment,
  }
  await withPipeline(listed, async (pipeline) => {
    const b = await another(pipeline, 'b', 1)
    const become = (count: number) =>
      until(
        `${count} to be committed`,
        async () => (await committed(pipeline)) === count,
        patiently,
      )
    try {
      await pipeline.topic.produce(records(100))
      await pipeline.begin()
      await become(100)
      expect(await pipeline.store.redis.hexists(pipeline.keys.ledger, 'topic:0')).toBe(0)
      await pipeline.stop()

      // The one that it has read keeps its place, wherever it stands in the list.
      environment.MILLRACE_TEST_TOPICS = `${b.name},${pipeline.name}`
      await Promise.all([pipeline.topic.produce(records(50)), b.produce(records(70))])
      await pipeline.begin()
      await become(220)
      const { partitions } = await expectExact(pipeline)
      expect(partitions.map((one) => [one.topic, one.partition])).toEqual([
        [pipeline.name, 0],
        [pipeline.name, 1],
        [b.name, 0],
      ])
      await pipeline.stop()

      environment.MILLRACE_TEST_TOPICS = pipeline.name
      const refused = await pipeline.start()
      expect(await refused.process.exited).toBe(1)
      const named = new RegExp(`has read topic ${b.name}, and ${pipeline.name} is all`)
      expect(pipeline.logLines(named)).toHaveLength(1)

      await pipeline.topic.produce(records(30))
      pipeline.supervisors.splice(0)
      await pipeline.begin(['--from', 'earliest', '--accept-change'])
      await become(250)
      await expectExact(pipeline)
    } finally {
      await b.delete().catch(() => {})
    }
  })
}, 240_000)
