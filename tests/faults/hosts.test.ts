/**
 * Several hosts for one job: trees of processes that know each other by Redis alone, with names of their own
 * (MILLRACE_HOST). A host is lost by kill -9 of all that it runs, at once; one of them has a clock that is wrong.
 */
import { beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { Actor } from '../../actors/messages.ts'
import { fill } from '../../faults/load.ts'
import { watch } from '../../faults/monitor.ts'
import { until } from '../../faults/until.ts'
import { killQuietly, type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { testServices } from '../support/services.ts'
import { expectExact } from './exact.ts'

beforeAll(testServices, 120_000)

const MAX = 4
const RECORDS = 8_000
const TEN_MINUTES_MS = 600_000
const shift = join(import.meta.dir, '../../faults/clock/shift.ts')
const patiently = { timeoutMs: 60_000 }

const options = {
  label: 'hosts',
  job: 'students.ts',
  topic: { partitions: 4 },
  environment: { MILLRACE_TEST_SPIN_US: '200' },
}

interface Given {
  args?: string[]
  /** How far its clocks are off. */
  clockMs?: number
}

function startHost(pipeline: Pipeline, name: string, { args, clockMs = 0 }: Given = {}) {
  const kinds = ['supervisor', 'executor', 'bridge'].map((kind) => `${kind}:${clockMs}`)
  const wrong = { BUN_OPTIONS: `--preload=${shift}`, MILLRACE_TEST_CLOCK: kinds.join(',') }
  const environment = { MILLRACE_HOST: name, ...(clockMs !== 0 && wrong) }
  const limits = ['--from', 'earliest', '--max', String(MAX)]
  return pipeline.start([...limits, ...(args ?? [])], undefined, environment)
}

async function actorsOn(pipeline: Pipeline, name: string): Promise<Actor[]> {
  const { actors } = await pipeline.snapshot()
  return actors.filter(({ host, alive }) => host === name && alive)
}

const runsOn = (pipeline: Pipeline, kind: Actor['kind'], name: string) =>
  until(
    `the ${kind} to run on ${name}`,
    async () =>
      (await actorsOn(pipeline, name)).some((one) => one.kind === kind && one.state === 'running'),
    patiently,
  )

/** All at once: nobody is left a moment in which to notice that another is gone. */
async function loseHost(pipeline: Pipeline, name: string): Promise<void> {
  const pids = (await actorsOn(pipeline, name)).map(({ pid }) => pid)
  for (const pid of pids) killQuietly(pid, 'SIGSTOP')
  for (const pid of pids) killQuietly(pid, 'SIGKILL')
}

/** An operator wants as many, whatever waits. */
const want = (pipeline: Pipeline, executors: number) =>
  pipeline.store.redis.hset(pipeline.keys.control, { min: executors, max: executors })

type Spread = Record<string, number>

/** Executors at work on each host. */
async function spreadOf(pipeline: Pipeline): Promise<Spread> {
  const { actors } = await pipeline.snapshot()
  const found: Spread = { alpha: 0, beta: 0 }
  for (const { kind, alive, state, host } of actors) {
    if (kind === 'executor' && alive && state === 'running') found[host] = (found[host] ?? 0) + 1
  }
  return found
}

/** So many in all, some on each of these hosts and none on another: how they share is placement's, and its tests'. */
const spread = (pipeline: Pipeline, ...hosts: string[]) =>
  until(
    `${MAX} executors on ${hosts.join(' and ')}`,
    async () => {
      const found = await spreadOf(pipeline)
      const all = Object.values(found).reduce((sum, count) => sum + count, 0)
      const isThere = ([host, count]: [string, number]) => hosts.includes(host) === count > 0
      if (all === MAX && Object.entries(found).every(isThere)) return found
      throw new Error(`they are ${JSON.stringify(found)}`)
    },
    patiently,
  )

test('both run executors; those of a lost one are replaced on the other, of the leader its bridge too', async () => {
  await withPipeline(options, async (pipeline) => {
    await startHost(pipeline, 'alpha')
    await runsOn(pipeline, 'bridge', 'alpha')
    await startHost(pipeline, 'beta', { clockMs: -TEN_MINUTES_MS })
    await runsOn(pipeline, 'supervisor', 'beta')
    const monitor = watch(pipeline, { executorsMax: MAX })
    await want(pipeline, MAX)
    await spread(pipeline, 'alpha', 'beta')

    await fill(pipeline, RECORDS)
    await loseHost(pipeline, 'beta')
    await spread(pipeline, 'alpha')
    const told = (await decisions(pipeline)).map(({ sentence }) => sentence).join('\n')
    // In one decision, or in two where its executors' leases end later than its supervisor's.
    expect(told).toMatch(/beta is gone with \d executors?/)
    expect(told).toMatch(/\d more on alpha/)

    await startHost(pipeline, 'beta', { clockMs: TEN_MINUTES_MS })
    await runsOn(pipeline, 'supervisor', 'beta')
    // What is wanted from now on finds more room there.
    await want(pipeline, 2)
    await until('two', async () => (await pipeline.alive('executor')).length === 2, patiently)
    await want(pipeline, MAX)
    await spread(pipeline, 'alpha', 'beta')

    await fill(pipeline, RECORDS, 2)
    await loseHost(pipeline, 'alpha')
    await spread(pipeline, 'beta')
    await runsOn(pipeline, 'bridge', 'beta')
    await monitor.end()
    await expectExact(pipeline, 2 * RECORDS)
  })
}, 240_000)

async function decisions(pipeline: Pipeline) {
  const { decisions } = await pipeline.get<{ decisions: { sentence: string }[] }>('/api/decisions')
  return decisions
}
