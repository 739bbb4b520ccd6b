import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SinkReport } from '../../actors/sinks/accounts.ts'
import { until } from '../../faults/until.ts'
import { filesIn, inOrder, rowText } from '../actors/sinks/found.ts'
import { parseExposition } from '../support/exposition.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

const T = 1_700_000_000_000

const records = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    JSON.stringify({ at: T + (from + i) * 1_000, who: `w${i % 3}`, amount: i }),
  )

const sinksOf = async (pipeline: Pipeline) => {
  const { sinks } = await pipeline.get<{ sinks: SinkReport[] }>('/api/sinks')
  return new Map(sinks.map((sink) => [sink.name, sink]))
}

/** The closed windows as the API has them, in the form of `filesIn`. */
async function closed(pipeline: Pipeline): Promise<Map<number, string[]>> {
  const rows = (await pipeline.windows('state=closed')).toReversed()
  const found = new Map<number, string[]>()
  for (const { start, end, key, values } of rows) {
    const at = Date.parse(start)
    found.set(at, [...(found.get(at) ?? []), rowText(Date.parse(end), key, values)])
  }
  return inOrder(found)
}

test('a supervisor runs the sinks that its job declares, and tells what is wrong with one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-sinking-'))
  const environment = {
    TEST_DIRECTORY: directory,
    TEST_WAREHOUSE: 'postgres://someone:canary-password@127.0.0.1:1/db',
  }
  const options = { label: 'sinking', job: 'sinking.ts', topic: { partitions: 1 }, environment }
  try {
    await withPipeline(options, async (pipeline) => {
      await pipeline.begin()
      await pipeline.topic.produce(records(0, 61))
      await until('six windows in files', () => filesIn(directory).size === 6)
      expect(filesIn(directory)).toEqual(await closed(pipeline))

      const degraded = await until('the job to be degraded', async () => {
        const status = await pipeline.status()
        return status.state === 'degraded' ? status : null
      })
      expect(degraded.reason).toStartWith(
        'sink warehouse: at 127.0.0.1:1/db, table windows is down; trying again: ',
      )
      const sinks = await sinksOf(pipeline)
      expect(sinks.get('files')).toMatchObject({ state: 'running', windows: 6, lagWindows: 0 })
      expect(sinks.get('warehouse')).toMatchObject({ state: 'down', windows: 0, lagWindows: 6 })
      const metrics = parseExposition(await (await pipeline.fetch('/metrics')).text())
      const lag = metrics.get('millrace_sink_lag_windows')?.samples ?? []
      expect(lag.map(({ labels, value }) => [labels.sink, value])).toEqual([
        ['files', 0],
        ['warehouse', 6],
      ])

      const [first] = await pipeline.alive('sinks')
      process.kill(first!.pid, 'SIGKILL')
      await pipeline.topic.produce(records(61, 101))
      await until('ten windows in files', () => filesIn(directory).size === 10)
      expect(filesIn(directory)).toEqual(await closed(pipeline))
      const living = await pipeline.alive('sinks')
      expect(living.map(({ id }) => id)).not.toContain(first!.id)
      expect(pipeline.logLines(/canary-password/)).toEqual([])
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 60_000)
