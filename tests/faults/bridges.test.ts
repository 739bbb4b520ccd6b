/**
 * Several bridges share a topic's partitions: the supervisor's and others by hand, as on other machines.
 * One that is killed is replaced by the others, one that comes gets its share, and one that was stopped
 * and wakes up appends nothing twice.
 */
import { expect, test } from 'bun:test'
import { nextOffsets, readOn, shared, startByHand } from '../../faults/actions/processes.ts'
import { produce } from '../../faults/load.ts'
import { watch } from '../../faults/monitor.ts'
import { until } from '../../faults/until.ts'
import { killQuietly, type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { expectExact } from './exact.ts'

const PARTITIONS = 6
const RATE = 600
const patiently = { timeoutMs: 60_000 }

const options = (label: string) => ({
  label,
  job: 'students.ts',
  topic: { partitions: PARTITIONS },
})

/** Each bridge that is alive has appended more records than at the first answer from now on. */
async function eachAppends(pipeline: Pipeline, bridges: number): Promise<void> {
  const counts = async () =>
    new Map((await pipeline.alive('bridge')).map(({ id, records }) => [id, records]))
  const before = await counts()
  await until(
    'each bridge to append records',
    async () => {
      const now = [...(await counts())]
      return now.length === bridges && now.every(([id, records]) => records > (before.get(id) ?? 0))
    },
    patiently,
  )
}

async function keepsReading(pipeline: Pipeline): Promise<void> {
  const before = await nextOffsets(pipeline)
  await until('all partitions to be read on', readOn(pipeline, before), patiently)
}

test('three bridges share; the killed one’s partitions are others’; who comes gets a share', async () => {
  await withPipeline(options('bridges'), async (pipeline) => {
    await pipeline.begin()
    const load = produce(pipeline, RATE)
    const monitor = watch(pipeline, { executorsMax: 4 })
    await until('the ledger', async () => (await nextOffsets(pipeline)).length === PARTITIONS)
    startByHand(pipeline, 'bridge')
    const killed = startByHand(pipeline, 'bridge')
    const shares = await shared(pipeline, 3)
    expect([...shares.values()].map(({ length }) => length)).toEqual([2, 2, 2])
    await eachAppends(pipeline, 3)

    killed.kill('SIGKILL')
    await shared(pipeline, 2)
    await keepsReading(pipeline)

    startByHand(pipeline, 'bridge')
    await shared(pipeline, 3)
    await eachAppends(pipeline, 3)
    await keepsReading(pipeline)

    // The supervisor starts another one in place of its own.
    const own = (await pipeline.alive('bridge')).find(({ id }) => isOwn(pipeline, id))
    killQuietly(own!.pid, 'SIGKILL')
    await until('another one', () => pipeline.logLines(/"bridge started"/).length === 2, patiently)
    await shared(pipeline, 3)
    await keepsReading(pipeline)

    await load.end()
    await expectExact(pipeline)
    await monitor.end()
    for (const { pid } of (await pipeline.alive('bridge')).filter(
      ({ id }) => !isOwn(pipeline, id),
    )) {
      killQuietly(pid, 'SIGTERM')
    }
    await until('only the supervisor’s to be left', async () => {
      return (await pipeline.alive('bridge')).length === 1
    })
  })
}, 240_000)

const isOwn = (pipeline: Pipeline, id: string): boolean =>
  pipeline.logLines(/"bridge started"/).some((line) => line.includes(id))

test('a bridge that was stopped and wakes up appends nothing twice', async () => {
  await withPipeline(options('zombie'), async (pipeline) => {
    startByHand(pipeline, 'executor')
    startByHand(pipeline, 'bridge')
    const zombie = startByHand(pipeline, 'bridge')
    const load = produce(pipeline, RATE)
    await shared(pipeline, 2)
    await eachAppends(pipeline, 2)
    for (let round = 0; round < 2; round++) {
      zombie.kill('SIGSTOP')
      await keepsReading(pipeline)
      zombie.kill('SIGCONT')
      await shared(pipeline, 2)
      await eachAppends(pipeline, 2)
    }
    await load.end()
    await expectExact(pipeline)
    const { totals } = await pipeline.snapshot()
    const ends = (await pipeline.topic.ends()).map(Number)
    expect(totals.appended).toBe(ends.reduce((sum, end) => sum + end, 0))
    for (const { pid } of pipeline.processes()) killQuietly(pid, 'SIGTERM')
    await until('all to leave', async () => (await pipeline.snapshot()).actors.every(isGone))
  })
}, 240_000)

const isGone = ({ alive }: { alive: boolean }) => !alive
