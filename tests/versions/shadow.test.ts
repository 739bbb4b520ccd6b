/**
 * A changed job beside the one that runs, from its start as a shadow to its place: real processes, one of
 * which is killed at each step. Both sinks have each window once, and none is missing.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keysOf } from '../../actors/keys.ts'
import { measure } from '../../actors/measure.ts'
import { until } from '../../faults/until.ts'
import { filesIn, streamIn } from '../actors/sinks/found.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'

const T = 1_700_000_000_000
const changed = join(import.meta.dir, '..', 'fixtures', 'jobs', 'handed-changed.ts')

const records = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    JSON.stringify({ at: T + (from + i) * 1_000, who: `w${(from + i) % 2}`, amount: from + i }),
  )

const starts = (to: number) => Array.from({ length: to / 10 }, (_, i) => T + i * 10_000)

/** Kills the cut-over as soon as it has told a step, and whoever else is named. */
async function cutOverUntil(pipeline: Pipeline, step: string, beside?: () => Promise<void>) {
  const told = () => readFileSync(pipeline.logFile, 'utf8').split(`"step":"${step}"`).length
  const before = told()
  const child = pipeline.spawn([
    'versions/main.ts',
    'cutover',
    pipeline.name,
    `${pipeline.name}-2`,
    '--json',
  ])
  await until(`the step ${step}`, () => told() > before)
  child.kill('SIGKILL')
  await child.exited
  await beside?.()
}

test('a changed job is begun as a shadow and made the one, whoever is killed on the way', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-shadow-'))
  const environment = { TEST_DIRECTORY: directory }
  const options = { label: 'shadow', job: 'handed.ts', topic: { partitions: 1 }, environment }
  try {
    await withPipeline(options, async (pipeline) => {
      const { store, name } = pipeline
      const next = `${name}-2`
      const windows = (to: number) =>
        until(`windows up to ${to}`, () => filesIn(directory).size === to / 10)
      await pipeline.begin()
      await pipeline.topic.produce(records(0, 61))
      await windows(60)

      const shadow = () =>
        pipeline.spawn(['supervisor/main.ts', changed, '--shadow', '--no-web', '--quiet'])
      const first = shadow()
      const closedTo = async () => (await measure(store, keysOf(next))).closedTo
      await until('the shadow to have caught up', async () => (await closedTo()) === T + 60_000, {
        timeoutMs: 30_000,
      })
      expect(await measure(store, keysOf(next))).toMatchObject({
        version: { stage: 'shadow', of: name },
      })
      // Its sinks are held back; what both have closed is the same.
      expect((await measure(store, keysOf(next))).actors.some(({ kind }) => kind === 'sinks')).toBe(
        false,
      )
      await pipeline.topic.produce(records(61, 91))
      await windows(90)
      await until('the shadow to go on', async () => (await closedTo()) === T + 90_000)
      const run = (...args: string[]) => pipeline.spawn(['versions/main.ts', ...args]).exited
      expect(await run('compare', pipeline.jobFile, '--other-file', changed)).toBe(0)
      expect(await run('drop', name, '--yes')).toBe(1)

      first.kill('SIGKILL')
      await first.exited
      const second = shadow()
      const [sinks] = await pipeline.alive('sinks')
      process.kill(sinks!.pid, 'SIGKILL')
      await pipeline.topic.produce(records(91, 121))
      await cutOverUntil(pipeline, 'closed')
      await cutOverUntil(pipeline, 'ended')
      expect(await pipeline.supervisors[0]!.process.exited).toBe(0)
      await pipeline.topic.produce(records(121, 151))
      await cutOverUntil(pipeline, 'handed', async () => {
        second.kill('SIGKILL')
        await second.exited
      })
      expect(await run('cutover', name, next)).toBe(0)
      expect(await run('cutover', name, next)).toBe(0)
      // Nobody runs the one that was replaced by mistake.
      expect(
        await pipeline.spawn(['supervisor/main.ts', pipeline.jobFile, '--no-web']).exited,
      ).toBe(1)
      expect(
        pipeline.logLines(/was replaced by its version .*-2; that one runs with --as/),
      ).toHaveLength(1)

      const third = pipeline.spawn([
        'supervisor/main.ts',
        changed,
        '--as',
        next,
        '--no-web',
        '--quiet',
      ])
      await pipeline.topic.produce(records(151, 181))
      await windows(180)
      const stream = await until('the stream to have them', async () => {
        const found = await streamIn(store, `${name}-out`)
        return found.size === 18 ? found : null
      })
      expect([...stream.keys()]).toEqual(starts(180))
      for (const rows of stream.values()) expect(rows).toHaveLength(2)
      expect([...filesIn(directory).keys()]).toEqual(starts(180))
      expect(stream.get(T)![0]).not.toContain('most')
      expect(stream.get(T + 170_000)![0]).toContain('most')

      third.kill('SIGTERM')
      expect(await third.exited).toBe(0)
      expect(await run('drop', name, '--yes')).toBe(0)
      expect(await run('drop', next, '--yes')).toBe(0)
      expect(await store.redis.keys(`millrace:{${name}*`)).toEqual([])
      await store.redis.del(`${name}-out`, `{${name}-out}:position`)
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 120_000)
