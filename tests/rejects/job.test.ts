/** Rejects of a job that is fixed then: replayed they count, and a recomputation stays right. */
import { expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { expectExact } from '../faults/exact.ts'
import { withPipeline } from '../integration/pipeline.ts'
import { committedRecords, replaysIn, runCommand } from './setup.ts'

const RECORDS = 60

test('a job is fixed, restarted, and its rejects are replayed: each counts once', async () => {
  const options = { label: 'fixed', job: 'picky.ts', topic: { partitions: 2 } }
  await withPipeline(options, async (pipeline) => {
    const marker = join(tmpdir(), `${pipeline.name}.fixed`)
    const run = (...args: string[]) => runCommand(pipeline.name, pipeline.topic.name, args)
    try {
      const at = systemClock.now()
      const records = Array.from({ length: RECORDS }, (_, i) => ({
        value: JSON.stringify({ at, n: i % 6 === 0 ? '7' : 1 }),
        key: `key-${i}`,
        headers: { trace: `t${i}` },
      }))
      await pipeline.topic.produce([...records, { value: 'no JSON', partition: 0 }])
      await pipeline.begin()
      await expectExact(pipeline, RECORDS + 1)
      expect((await pipeline.status()).totals).toMatchObject({ counted: 50, rejected: 11 })
      await pipeline.stop()

      writeFileSync(marker, '')
      await pipeline.begin()
      const first = await run('replay', '--reason', 'schema')
      expect(first).toMatchObject({ code: 0, last: 'replayed 10, done before 0, kept 0', err: '' })
      // What is still not right is rejected again, under its new offset.
      expect(await run('replay', '--reason', 'json')).toMatchObject({ code: 0 })
      await expectExact(pipeline, RECORDS + 1 + 11)
      expect((await pipeline.status()).totals).toMatchObject({ counted: 60, rejected: 12 })
      const [open] = await pipeline.windows()
      expect(open!.values).toEqual({ records: 60, total: 50 + 70 })

      const found = await committedRecords(pipeline.topic)
      const replays = found.filter(({ headers }) => headers['millrace-replay'] !== undefined)
      expect(replays).toHaveLength(11)
      for (const { key, headers, partition } of replays.filter(({ key }) => key !== null)) {
        expect(headers.trace).toBe(key!.replace('key-', 't'))
        expect(headers['millrace-replay']).toStartWith(`${pipeline.name} ${partition}:`)
      }

      expect((await run('replay', '--all')).last).toBe('replayed 1, done before 11, kept 0')
      await expectExact(pipeline, RECORDS + 1 + 12)
      expect(new Set(replaysIn(await committedRecords(pipeline.topic))).size).toBe(12)
      const listed = await run('list', '--reason', 'json')
      expect(listed.out).toMatch(/0:\d+ +open \(replay of 0:\d+\) +json/)
      expect(listed.out).toMatch(/0:30 +replayed as 0:\d+ +json/)
    } finally {
      rmSync(marker, { force: true })
    }
  })
}, 90_000)
