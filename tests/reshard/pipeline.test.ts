/**
 * The command on a real pipeline whose shards change while records wait, windows are open and partly closed,
 * and rejects and verdicts are there; the recomputation finds nothing lost, twice or wrong at the end. It is
 * killed as well, and run again.
 */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { measure } from '../../actors/measure.ts'
import { heldKeys } from '../../actors/shards.ts'
import { until } from '../../faults/until.ts'
import { lateOrder, laterOrders, orders } from '../fixtures/orders.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'

const root = join(import.meta.dir, '../..')

async function start({ jobFile, name, topic, redisUrl }: Pipeline, args: string[]) {
  const child = Bun.spawn([process.execPath, 'reshard/main.ts', jobFile, ...args], {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? '',
      REDIS_URL: redisUrl,
      MILLRACE_TEST_JOB: name,
      MILLRACE_TEST_TOPIC: topic.name,
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { child, texts }
}

async function run(pipeline: Pipeline, args: string[]) {
  const { child, texts } = await start(pipeline, args)
  const [out, err] = await texts
  return { code: await child.exited, out, err }
}

const snapshotOf = async ({ store, name }: Pipeline) => measure(store, await heldKeys(store, name))

/** Everything that Kafka has is committed, or waits in Redis where nobody takes it. */
const taken = (pipeline: Pipeline, records: number, of: 'appended' | 'committed') =>
  until(`${records} records to be ${of}`, async () => {
    const { totals } = await snapshotOf(pipeline)
    if (totals[of] === records) return true
    throw new Error(JSON.stringify(totals))
  })

/** Killed after each of these times, and then left to end. */
async function changeTo(pipeline: Pipeline, to: number, killedAfterMs: number[] = []) {
  for (const ms of killedAfterMs) {
    const { child } = await start(pipeline, ['--to', String(to)])
    await systemClock.sleep(ms)
    child.kill('SIGKILL')
    await child.exited
  }
  const { code, out, err } = await run(pipeline, ['--to', String(to), '--json'])
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out) as { outcome: string; records: number; moved: number; panes: number }
}

test('1 → 3 → 2 → 1 with records in between, killed: nothing is lost, twice or wrong', async () => {
  const topic = { partitions: 3 }
  await withPipeline({ label: 'reshard', job: 'orders.ts', topic }, async (pipeline) => {
    const half = Math.floor(orders.length / 2)
    await pipeline.begin()
    await pipeline.topic.produce(orders.slice(0, half))
    await taken(pipeline, half, 'committed')

    const atWork = await run(pipeline, ['--to', '3'])
    expect(atWork.code).toBe(1)
    expect(atWork.err).toMatch(/leads the job; end it first/)
    await pipeline.stop()
    expect(await changeTo(pipeline, 3)).toMatchObject({ outcome: 'changed', moved: 2, panes: 0 })

    // No executor: what the bridge brings waits for the command.
    await pipeline.begin(['--from', 'earliest', '--max', '0'])
    await pipeline.topic.produce(orders.slice(half))
    await taken(pipeline, orders.length, 'appended')
    await pipeline.stop()
    const waiting = (await snapshotOf(pipeline)).totals.waiting
    expect(waiting).toBeGreaterThan(0)
    await changeTo(pipeline, 2, [700, 2_500, 5_000])

    await pipeline.begin(['--from', 'earliest', '--max', '2'])
    await pipeline.topic.produce(laterOrders)
    const known = orders.length + laterOrders.length
    await taken(pipeline, known, 'committed')
    await until('windows to be closed', async () => {
      return (await snapshotOf(pipeline)).closedTo !== null
    })
    await pipeline.topic.produce([lateOrder])
    await taken(pipeline, known + 1, 'committed')
    await pipeline.stop()
    const before = (await snapshotOf(pipeline)).totals
    expect(before).toMatchObject({ late: 1 })
    const { panes } = await changeTo(pipeline, 1, [4_500])
    expect(panes).toBeGreaterThanOrEqual(0)
    expect((await snapshotOf(pipeline)).totals).toEqual(before)

    await pipeline.begin(['--from', 'earliest', '--max', '2'])
    const report = await pipeline.verify()
    expect(report).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0 })
    const shown = await run(pipeline, [])
    expect(shown.out).toMatch(/has 1 shard\n {2}shard 0 {3}partitions 0, 1, 2 {3}0 records waiting/)
  })
}, 180_000)
