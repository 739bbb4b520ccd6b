/**
 * Who leads, who leaves, who is taken for dead: faults of single processes, each by itself.
 */
import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { GROUP } from '../../actors/keys.ts'
import { killQuietly, type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { student } from '../integration/student.ts'
import { until } from '../../faults/until.ts'
import { fill } from '../../faults/load.ts'
import { expectExact } from './exact.ts'
import { watch } from '../../faults/monitor.ts'

const RECORDS = 30_000
const EXECUTORS_MAX = 3
const spin = { MILLRACE_TEST_SPIN_US: '100' }
const options = { job: 'students.ts', topic: { partitions: 4 }, environment: spin }

test('two supervisors: one leads, the other takes over when it is killed', async () => {
  await withPipeline({ ...options, label: 'two' }, async (pipeline) => {
    await fill(pipeline, RECORDS)
    const args = ['--from', 'earliest', '--max', String(EXECUTORS_MAX)]
    await pipeline.begin(args)
    const monitor = watch(pipeline, { executorsMax: EXECUTORS_MAX })
    const [first] = pipeline.supervisors
    await pipeline.start(args)
    const [, second] = pipeline.supervisors
    await until('both to be there', async () => (await pipeline.alive('supervisor')).length === 2)
    await until('executors at work', async () => (await pipeline.alive('executor')).length > 0)
    expect(await leadingPid(pipeline)).toBe(first!.process.pid)
    expect(childrenOf(pipeline, 'executor')).toBeLessThanOrEqual(EXECUTORS_MAX)

    first!.process.kill('SIGKILL')
    await first!.process.exited
    await until(
      'the second to lead',
      async () => (await leadingPid(pipeline)) === second!.process.pid,
      { timeoutMs: 6_000 },
    )
    await expectExact(pipeline, RECORDS)
    await monitor.end()
  })
}, 60_000)

test('bridge, executors and web leave by themselves when their supervisor is killed', async () => {
  await withPipeline({ ...options, label: 'orphans' }, async (pipeline) => {
    await fill(pipeline, RECORDS)
    await pipeline.begin()
    await until('executors at work', async () => (await pipeline.alive('executor')).length > 0)
    const { process: supervisor } = pipeline.supervisors[0]!
    supervisor.kill('SIGKILL')
    await supervisor.exited
    await until('everybody to leave', async () => {
      const { actors } = await pipeline.snapshot()
      const left = actors.filter(({ alive, kind }) => alive && kind !== 'supervisor')
      return left.length === 0 && pipeline.processes().length === 0
    })
    // In order: what they had in hand is committed or handed back, and nobody is suspected.
    expect(await pipeline.store.redis.hlen(pipeline.keys.crashes)).toBe(0)
    const { actors } = await pipeline.snapshot()
    const orphans = actors.filter(({ kind }) => kind === 'executor')
    expect(orphans.map(({ state }) => state)).toEqual(orphans.map(() => 'stopped'))
    await pipeline.begin()
    await expectExact(pipeline, RECORDS)
  })
}, 60_000)

test('an executor that was stopped past its lease and wakes up is refused', async () => {
  const records = RECORDS / 3
  const environment = { MILLRACE_TEST_SPIN_US: '400' }
  await withPipeline({ ...options, environment, label: 'zombie' }, async (pipeline) => {
    await fill(pipeline, records)
    // Nobody supervises, so that nobody kills what does not answer.
    const bridge = pipeline.spawn(['actors/bridge/main.ts', pipeline.jobFile, '--from', 'earliest'])
    const started = () => pipeline.spawn(['actors/executor/main.ts', pipeline.jobFile])
    const zombie = started()
    try {
      await until('the zombie to be stopped with entries in hand', () =>
        stopWithEntries(pipeline, zombie.pid),
      )
      const healthy = started()
      await pipeline.drained()
      const { committed } = (await pipeline.snapshot()).totals
      expect(committed).toBe(records)
      zombie.kill('SIGCONT')
      await until(
        'the zombie to notice',
        () => pipeline.logLines(/entries were taken over/).length > 0,
      )
      // It is welcome again: with the other one gone the next records are its own.
      healthy.kill('SIGTERM')
      expect(await healthy.exited).toBe(0)
      await pipeline.topic.produce(Array.from({ length: 100 }, () => student()))
      await expectExact(pipeline, records + 100)
    } finally {
      zombie.kill('SIGCONT')
      for (const left of [zombie, bridge]) left.kill('SIGTERM')
      expect(await Promise.all([zombie.exited, bridge.exited])).toEqual([0, 0])
    }
  })
}, 60_000)

test('a supervisor that is stopped loses the lead, and does no harm when it wakes up', async () => {
  await withPipeline({ ...options, label: 'sleeper' }, async (pipeline) => {
    await fill(pipeline, RECORDS)
    const args = ['--from', 'earliest', '--max', String(EXECUTORS_MAX)]
    const { process: sleeper } = await pipeline.begin(args)
    await pipeline.start(args)
    const second = pipeline.supervisors[1]!.process
    await until('executors at work', async () => (await pipeline.alive('executor')).length > 0)
    sleeper.kill('SIGSTOP')
    await until('the second to lead', async () => (await leadingPid(pipeline)) === second.pid)
    sleeper.kill('SIGCONT')
    await expectExact(pipeline, RECORDS)
    const atWork = async () => {
      const { actors } = await pipeline.snapshot()
      return actors.filter(
        ({ kind, alive, state }) => kind === 'bridge' && alive && state !== 'stopped',
      )
    }
    await until('one bridge to be left', async () => (await atWork()).length === 1)
    expect(await leadingPid(pipeline)).toBe(second.pid)
    await until(
      'at most so many executors',
      () => childrenOf(pipeline, 'executor') <= EXECUTORS_MAX,
    )
  })
}, 60_000)

test('paused: no executor works; resumed: it goes on', async () => {
  await withPipeline({ ...options, label: 'paused' }, async (pipeline) => {
    await fill(pipeline, RECORDS)
    await pipeline.begin()
    await until('executors at work', async () => (await pipeline.alive('executor')).length > 0)
    await pipeline.post('/api/pause')
    await until('no executor', async () => (await pipeline.alive('executor')).length === 0)
    // The page's answers are kept for a quarter of a second.
    const { backlog, totals } = await until('the status to say so', async () => {
      const status = await pipeline.status()
      return status.state === 'paused' && status.executors.count === 0 ? status : null
    })
    expect(backlog.pending).toBe(0)
    expect(totals.committed).toBeLessThan(RECORDS)
    await pipeline.post('/api/resume')
    await expectExact(pipeline, RECORDS)
    expect((await pipeline.status()).state).toBe('running')
  })
}, 60_000)

async function leadingPid(pipeline: Pipeline): Promise<number | undefined> {
  const { leader, actors } = await pipeline.snapshot()
  return actors.find(({ id }) => id === leader)?.pid
}

const childrenOf = (pipeline: Pipeline, kind: string): number =>
  pipeline.processes().filter(({ command }) => command.includes(`actors/${kind}/main.ts`)).length

/**
 * Stops it in the middle of an entry, of which it has committed a part. Elsewhere it goes on and is
 * caught later: what Redis counts as its own may not have reached it yet.
 */
async function stopWithEntries(pipeline: Pipeline, pid: number): Promise<boolean> {
  const actor = (await pipeline.alive('executor')).find((one) => one.pid === pid)
  if (!actor) return false
  killQuietly(pid, 'SIGSTOP')
  // A commit that was on its way when it was stopped is still taken.
  await systemClock.sleep(50)
  const { redis } = pipeline.store
  const pending = await redis.xpending(pipeline.keys.entries, GROUP, '-', '+', 10, actor.id)
  for (const [id] of pending as [string][]) {
    if (await redis.hexists(pipeline.keys.progress, id)) return true
  }
  killQuietly(pid, 'SIGCONT')
  return false
}
