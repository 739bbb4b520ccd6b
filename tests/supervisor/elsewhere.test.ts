/**
 * Executors that people start on other machines: processes of nobody here, that know Redis's address
 * and the job's file and nothing else. They are members of the fleet like any other.
 */
import { beforeAll, describe, expect, test } from 'bun:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import type { Actor } from '../../actors/messages.ts'
import { areDone, entriesOf } from '../../faults/actions/processes.ts'
import { fill } from '../../faults/load.ts'
import { until } from '../../faults/until.ts'
import { expectExact } from '../faults/exact.ts'
import { killQuietly, type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { testServices } from '../support/services.ts'

beforeAll(testServices, 120_000)

/** Microseconds of processor time a record, so that somebody has entries in hand. */
const SPIN_US = '100'
const RECORDS = 4_000
const patiently = { timeoutMs: 60_000 }
const main = join(import.meta.dir, '..', '..', 'actors', 'executor', 'main.ts')

const options = (label: string) => ({
  label,
  job: 'students.ts',
  topic: { partitions: 4 },
  environment: { MILLRACE_TEST_SPIN_US: SPIN_US },
})

/** With Redis's address for its only setting; the others belong to the tests' job file. */
function startElsewhere(pipeline: Pipeline): Subprocess {
  return Bun.spawn([process.execPath, main, pipeline.jobFile], {
    cwd: tmpdir(),
    env: {
      REDIS_URL: pipeline.redisUrl,
      MILLRACE_TEST_JOB: pipeline.name,
      MILLRACE_TEST_TOPIC: pipeline.topic.name,
      MILLRACE_TEST_SPIN_US: SPIN_US,
    },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  })
}

type Listed = Pick<Actor, 'id' | 'pid' | 'state' | 'reason' | 'records'>

/** Executors as the page lists them, the dead included. */
async function listed(pipeline: Pipeline): Promise<Listed[]> {
  return (await pipeline.get<{ executors: Listed[] }>('/api/executors')).executors
}

const listedAs = (pipeline: Pipeline, { pid }: Subprocess, state: Actor['state']) =>
  until(`${pid} to be listed as ${state}`, async () => {
    const one = (await listed(pipeline)).find((executor) => executor.pid === pid)
    if (one?.state === state) return one
    throw new Error(`it is ${one?.state}`)
  })

/** Stops it at a moment when it has entries in hand, and answers with those. */
const stoppedInWork = (pipeline: Pipeline, { id, pid }: Listed): Promise<string[]> =>
  until(
    'it to have entries in hand',
    async () => {
      killQuietly(pid, 'SIGSTOP')
      const held = await entriesOf(pipeline, id)
      if (held.length > 0) return held
      killQuietly(pid, 'SIGCONT')
      return null
    },
    { ...patiently, everyMs: 5 },
  )

const startedHere = (pipeline: Pipeline) => pipeline.logLines(/"executor started"/).length

describe('executors on another machine', () => {
  test('are seen, counted and used; one that is killed is missed, one too many leaves', async () => {
    await withPipeline(options('elsewhere'), async (pipeline) => {
      await pipeline.begin(['--from', 'earliest', '--min', '0', '--max', '2'])
      // Nothing waits, so that nobody else asks for executors.
      const [first, second] = [startElsewhere(pipeline), startElsewhere(pipeline)]
      const victim = await listedAs(pipeline, first, 'running')
      await listedAs(pipeline, second, 'running')
      await until('both to count', async () => (await pipeline.status()).executors.count === 2)

      await fill(pipeline, RECORDS)
      await until(
        'both to commit',
        async () => (await pipeline.alive('executor')).every(({ records }) => records > 0),
        patiently,
      )
      expect(startedHere(pipeline)).toBe(0)

      await fill(pipeline, RECORDS, 2)
      const held = await stoppedInWork(pipeline, victim)
      first.kill('SIGKILL')
      const dead = await listedAs(pipeline, first, 'dead')
      expect(dead.reason).toBe('its heartbeats stopped')
      await until('its entries to be done', () => areDone(pipeline, held), patiently)
      await until('one to be started in its place', () => startedHere(pipeline) > 0)

      await pipeline.post('/api/executors', { min: 0, max: 0 })
      expect(await second.exited).toBe(0)
      await listedAs(pipeline, second, 'stopped')
      await pipeline.post('/api/executors', { min: 0, max: 2 })
      await expectExact(pipeline, 2 * RECORDS)
    })
  }, 240_000)

  test('more of them than the maximum allows: those too many leave in order', async () => {
    await withPipeline(options('elsewhere-many'), async (pipeline) => {
      await fill(pipeline, RECORDS)
      const all = [1, 2, 3, 4].map(() => startElsewhere(pipeline))
      await until(
        'all to be there',
        async () => (await pipeline.alive('executor')).length === all.length,
        patiently,
      )
      await pipeline.begin(['--from', 'earliest', '--min', '2', '--max', '2'])
      const left = () => all.filter(({ exitCode }) => exitCode !== null)
      await until('two to have left', () => left().length === 2)
      // One more comes while the fleet is as large as it may be.
      const late = startElsewhere(pipeline)
      const exits = await Promise.race([late.exited, ...all.map(({ exited }) => exited)])
      expect(exits).toBe(0)
      await until('as many as allowed', async () => (await pipeline.alive('executor')).length === 2)
      await expectExact(pipeline, RECORDS)
      expect([...left(), late].every(({ exitCode }) => exitCode === 0 || exitCode === null)).toBe(
        true,
      )
      expect(startedHere(pipeline)).toBe(0)
      await pipeline.stop()
      for (const one of [...all, late]) one.kill('SIGTERM')
      const codes = await Promise.all([...all, late].map(({ exited }) => exited))
      expect(codes).toEqual([0, 0, 0, 0, 0])
    })
  }, 240_000)
})
