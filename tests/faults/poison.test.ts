/**
 * Records that crash, hang or bloat the process that works on them, with all of the pipeline: only
 * they are rejected, each within three deliveries, and the job stays what it is.
 */
import { expect, test } from 'bun:test'
import { until } from '../../faults/until.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { student } from '../integration/student.ts'
import { expectExact } from './exact.ts'

const RECORDS = 600
const poison = { label: 'poison', job: 'poison.ts', topic: { partitions: 2 } }

interface Case {
  /** What the records do, and where they are. */
  poisoned: Record<number, string>
  reason: string
  environment?: Record<string, string>
}

async function expectOnlyThemRejected(
  { poisoned, reason, environment = {} }: Case,
  check: (pipeline: Pipeline) => void | Promise<void>,
): Promise<void> {
  await withPipeline({ ...poison, environment }, async (pipeline) => {
    const records = Array.from({ length: RECORDS }, (_, i) => {
      const how = poisoned[i]
      return student(how === undefined ? {} : { poison: how })
    })
    await pipeline.topic.produce(records)
    await pipeline.begin(['--from', 'earliest', '--max', '2'])
    await expectExact(pipeline, RECORDS)
    const guilty = Object.values(poisoned)
    const status = await pipeline.status()
    expect(status).toMatchObject({ state: 'running', totals: { rejected: guilty.length } })
    const rejects = await pipeline.rejects()
    expect(rejects.map((one) => one.reason)).toEqual(guilty.map(() => reason))
    const values = rejects.map(({ value }) => (JSON.parse(value) as { poison: string }).poison)
    expect(values.sort()).toEqual(guilty.sort())
    expect(pipeline.logLines(/"executor failed/)).toEqual([])
    await check(pipeline)
  })
}

const deaths = (pipeline: Pipeline) => pipeline.logLines(/executor died/)

for (const concurrency of [1, 8]) {
  const environment = { MILLRACE_TEST_CONCURRENCY: String(concurrency) }
  const together = `${concurrency} at once`

  test(`records whose work crashes the process (${together})`, async () => {
    // Two side by side in one batch, one alone; partition by turns.
    const poisoned = { 200: 'kill', 202: 'exit', 501: 'kill' }
    await expectOnlyThemRejected({ poisoned, reason: 'poison', environment }, (pipeline) => {
      // Twice each: the third delivery rejects it.
      expect(deaths(pipeline).length).toBeLessThanOrEqual(6)
    })
  }, 60_000)

  test(`records whose work never settles cost no process (${together})`, async () => {
    const poisoned = { 100: 'hang', 102: 'hang', 401: 'hang' }
    await expectOnlyThemRejected({ poisoned, reason: 'hung', environment }, (pipeline) => {
      expect(deaths(pipeline)).toEqual([])
    })
  }, 60_000)

  test(`a record whose work holds the thread for ever (${together})`, async () => {
    await expectOnlyThemRejected(
      { poisoned: { 301: 'spin' }, reason: 'poison', environment },
      async (pipeline) => {
        // The second one is killed after its lease has ended and a third has taken the entry.
        await until('both deaths', () => deaths(pipeline).length === 2)
        // Then it was alone, and the log names it.
        expect(deaths(pipeline)[1]).toContain('heartbeats stopped, record 1/150 in hand')
      },
    )
  }, 90_000)
}

test('a record whose work uses up memory', async () => {
  // What swells must not be given up as hung before it is too large.
  const environment = { EXECUTOR_MEMORY_MAX_MIB: '400', MILLRACE_TEST_WORK_TIMEOUT_MS: '30000' }
  await expectOnlyThemRejected(
    { poisoned: { 301: 'swell' }, reason: 'poison', environment },
    (pipeline) => {
      expect(deaths(pipeline).length).toBe(2)
      expect(deaths(pipeline)[0]).toMatch(/over its memory bound: \d+ of 400 MiB, record 1\/150/)
    },
  )
}, 60_000)
