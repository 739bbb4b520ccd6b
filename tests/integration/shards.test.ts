/**
 * A job of several shards from end to end: their parts become one window each, also while whoever works on
 * them is killed.
 */
import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import type { Actor } from '../../actors/messages.ts'
import { until } from '../../faults/until.ts'
import { killQuietly, type Pipeline, scale, withPipeline } from './pipeline.ts'
import { student } from './student.ts'

const RECORDS = 20_000 * scale

test('records of several shards are counted once, and their windows are whole', async () => {
  const options = { label: 'shards', job: 'students.ts', topic: { partitions: 4 }, shards: 3 }
  await withPipeline(options, async (pipeline) => {
    const producer = ['actors/producer/main.ts', '--topic', pipeline.topic.name]
    const pace = ['--count', String(RECORDS), '--rate', '20000', '--seed', '7']
    await pipeline.begin()
    expect(await pipeline.spawn([...producer, ...pace]).exited).toBe(0)

    const { totals, partitions } = await pipeline.drained()
    expect(totals).toMatchObject({ appended: RECORDS, committed: RECORDS, counted: RECORDS })
    expect(partitions).toHaveLength(4)
    const rows = await pipeline.windows()
    expect(rows.reduce((sum, { values }) => sum + Number(values.events), 0)).toBe(2 * RECORDS)
    // A group of a window is one row, whichever shards hold it.
    const places = new Set(rows.map(({ start, key }) => JSON.stringify([start, key])))
    expect(places.size).toBe(rows.length)
  })
}, 120_000)

/** What is killed, one after the other, each while records come in whose windows close meanwhile. */
const VICTIMS = ['executor', 'bridge', 'supervisor', 'executor', 'bridge'] as const
const PARTITIONS = 4
/** Of event time, from victim to victim; a minute of it stays open at the end. */
const STEP_MS = 60_000
const STEP_RECORDS = 2_000 * scale
const COURSES = ['Operating Systems', 'Data Structures', 'Web Engineering', 'Linear Algebra']

/** All partitions in turn, evenly over a step's time. */
function* step(fromMs: number): Generator<{ partition: number; value: string }> {
  for (let i = 0; i < STEP_RECORDS; i++) {
    const timestamp = (fromMs + Math.floor((i * STEP_MS) / STEP_RECORDS)) / 1_000
    const course = COURSES[(i >> 2) % COURSES.length]!
    yield {
      partition: i % PARTITIONS,
      value: student({ timestamp, course, lines_of_code: i % 150 }),
    }
  }
}

async function killOne(pipeline: Pipeline, victim: (typeof VICTIMS)[number]): Promise<void> {
  if (victim === 'supervisor') {
    pipeline.supervisors.at(-1)!.process.kill('SIGKILL')
    await pipeline.begin()
    return
  }
  const { pid } = await until(`a living ${victim}`, () => oneOf(pipeline, victim))
  expect(killQuietly(pid, 'SIGKILL')).toBe(true)
}

const oneOf = async (pipeline: Pipeline, kind: Actor['kind']): Promise<Actor | undefined> =>
  (await pipeline.alive(kind))[0]

test('windows of several shards close whole while bridge, executor and supervisor are killed', async () => {
  const options = {
    label: 'shards-killed',
    job: 'students.ts',
    topic: { partitions: PARTITIONS },
    shards: 3,
    args: ['--from', 'earliest', '--min', '1'],
  }
  await withPipeline(options, async (pipeline) => {
    const live = ['verify/main.ts', pipeline.jobFile, '--live', '--interval', '0.2', '--json']
    const audit = pipeline.spawnBeside(live)
    await pipeline.begin()
    const fromMs = Math.floor(systemClock.now() / 5_000) * 5_000 - 600_000
    for (const [i, victim] of VICTIMS.entries()) {
      await Promise.all([
        pipeline.topic.produce(step(fromMs + i * STEP_MS)),
        killOne(pipeline, victim),
      ])
    }
    const records = VICTIMS.length * STEP_RECORDS
    expect((await pipeline.drained()).totals).toMatchObject({
      committed: records,
      counted: records,
    })
    // The newest record is 30 ms before the end of the last step, the delay a minute.
    const closedTo = fromMs + (VICTIMS.length - 1) * STEP_MS - 5_000
    await until(
      'windows to be closed',
      async () => (await pipeline.snapshot()).closedTo === closedTo,
    )
    await until('all to be audited', () =>
      pipeline.logLines(/^\{"at"/).some((line) => line.includes(`"records":${records},`)),
    )
    audit.kill('SIGINT')
    expect([await audit.exited, ...pipeline.logLines(/"named":\["/)]).toEqual([0])

    const report = await pipeline.verify()
    expect(report).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0, unaccounted: 0 })
    expect(report).toMatchObject({ records, notes: [] })
    // Windows begin 5 s before the first record.
    expect(report.windows.closed).toBe((closedTo - fromMs) / 5_000)
    expect(report.windows.open).toBeGreaterThan(10)
  })
}, 180_000)
