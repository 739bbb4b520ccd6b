/**
 * A job that is changed: what its panes mean can't change under its name; as a version beside it, it reads
 * the topic again from where it is told, and its windows are compared.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../../faults/until.ts'
import { keysOf } from '../../actors/keys.ts'
import { measure } from '../../actors/measure.ts'
import { withPipeline } from '../integration/pipeline.ts'

const T = 1_700_000_000_000
const RECORDS = 400
const other = join(import.meta.dir, '..', 'fixtures', 'jobs', 'students-slid.ts')

test('is refused under its own name, and runs beside it under another', async () => {
  await withPipeline(
    { label: 'version', job: 'students.ts', topic: { partitions: 2 } },
    async (pipeline) => {
      await pipeline.begin()
      const producer = ['actors/producer/main.ts', '--topic', pipeline.topic.name]
      const produce = async (flags: string[]) => {
        const producing = pipeline.spawn([...producer, '--rate', '2000', ...flags])
        expect(await producing.exited).toBe(0)
      }
      await produce(['--count', String(RECORDS), '--seed', '7'])
      await pipeline.drained()

      const refused = pipeline.spawn(['supervisor/main.ts', other, '--no-web', '--quiet'])
      expect(await refused.exited).toBe(1)
      expect(await Bun.file(pipeline.logFile).text()).toMatch(
        /has panes of another meaning: window.slide was 5000 ms, and is 10000 ms; run it as a version beside them \(--as .*-2\)/,
      )

      const version = `${pipeline.name}-2`
      const keys = keysOf(version)
      const flags = ['--as', version, '--from', 'earliest', '--no-web', '--quiet']
      const beside = pipeline.spawn(['supervisor/main.ts', other, ...flags])
      await until(
        'the version to have read all',
        async () => {
          const { totals } = await measure(pipeline.store, keys)
          return totals.committed === RECORDS
        },
        { timeoutMs: 30_000 },
      )
      await produce(['--count', '100', '--seed', '8'])
      await pipeline.drained()
      await until(
        'the version to go on',
        async () => {
          const { totals } = await measure(pipeline.store, keys)
          return totals.committed === RECORDS + 100
        },
        { timeoutMs: 30_000 },
      )
      const versions = async (...args: string[]) => {
        const child = pipeline.spawn(['versions/main.ts', ...args])
        return child.exited
      }
      // Nothing is closed yet, as event time goes with the clock; and nobody drops what is at work.
      expect(await versions('compare', pipeline.jobFile, version)).toBe(1)
      expect(await versions('drop', version, '--yes')).toBe(1)
      beside.kill('SIGTERM')
      expect(await beside.exited).toBe(0)
      expect(await versions('drop', version)).toBe(2)
      expect(await versions('drop', version, '--yes')).toBe(0)
      expect(await pipeline.store.redis.keys(`${keys.base}:*`)).toEqual([])
    },
  )
}, 120_000)

test('rolls over from one supervisor to the next with other code, and loses nothing', async () => {
  await withPipeline(
    { label: 'rolling', job: 'students.ts', topic: { partitions: 2 } },
    async (pipeline) => {
      await pipeline.begin()
      const producer = ['actors/producer/main.ts', '--topic', pipeline.topic.name]
      const producing = pipeline.spawn([
        ...producer,
        '--count',
        '3000',
        '--rate',
        '500',
        '--seed',
        '7',
      ])
      const committed = async () => (await pipeline.snapshot()).totals.committed
      await until('the first records', async () => (await committed()) > 300)
      const [old] = pipeline.supervisors
      // The new code filters nothing out, but it is another function: what comes before the panes may change.
      const filtered = join(import.meta.dir, '..', 'fixtures', 'jobs', 'students-filtered.ts')
      const next = pipeline.spawn(['supervisor/main.ts', filtered, '--no-web', '--quiet'])
      await until(
        'the next supervisor to stand by',
        async () => (await pipeline.alive('supervisor')).length === 2,
      )
      old!.process.kill('SIGTERM')
      expect(await old!.process.exited).toBe(0)
      expect(await producing.exited).toBe(0)
      const { totals } = await pipeline.drained()
      expect(totals).toMatchObject({ appended: 3_000, committed: 3_000, counted: 3_000 })
      next.kill('SIGTERM')
      expect(await next.exited).toBe(0)
      expect((await pipeline.verify()).ok).toBe(true)
    },
  )
}, 120_000)

test('what was judged by the code of before is left out by the verification, and named', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-judged-'))
  const environment = { TEST_DIRECTORY: directory }
  const options = { label: 'judged', job: 'handed.ts', topic: { partitions: 2 }, environment }
  try {
    await withPipeline(options, async (pipeline) => {
      const records = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) =>
          JSON.stringify({ at: T + (from + i) * 500, who: 'w', amount: from + i }),
        )
      await pipeline.begin()
      await pipeline.topic.produce(records(0, 100))
      await pipeline.drained()
      const filtered = join(import.meta.dir, '..', 'fixtures', 'jobs', 'handed-filtered.ts')
      expect(await pipeline.verify(60, filtered)).toMatchObject({ ok: false })
      await pipeline.stop()
      const next = pipeline.spawn(['supervisor/main.ts', filtered, '--no-web', '--quiet'])
      await until('the change to be noted', () => pipeline.store.redis.exists(pipeline.keys.judged))
      await pipeline.topic.produce(records(100, 300))
      await pipeline.drained()
      const report = await pipeline.verify(60, filtered)
      expect(report).toMatchObject({
        ok: true,
        records: 200,
        counts: { counted: 100, filtered: 100 },
        totals: { counted: 100, filtered: 100 },
        unaccounted: 0,
      })
      // 50 s to 150 s behind the first: the windows up to 60 s hold, or may hold, records of before.
      expect(report.windows.closed + report.windows.open).toBe(10)
      expect(report.notes[0]).toMatch(
        /code was changed at .*: 100 records before that \(to offsets 0:50, 1:50\)/,
      )
      // By the file of before nothing of what the new one judged is right.
      const other = await pipeline.verify(60)
      expect(other.ok).toBe(false)
      expect(other.notes.join()).toContain('the job file is not the code that runs')
      next.kill('SIGTERM')
      expect(await next.exited).toBe(0)
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 120_000)
