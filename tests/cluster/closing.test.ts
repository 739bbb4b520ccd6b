/**
 * A window of many groups is closed step by step, and between two steps another Redis has the data: one
 * that was started again, as its replica would be after a failover. Its hash tables are in another order,
 * so that a scan can't go on where it was.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { untilReady } from '../../actors/redis.ts'
import { silent } from '../../cli/progress.ts'
import { startRedis } from '../../services/services.ts'
import { Shard } from '../support/shard.ts'

const GROUPS = 3_000
const S = 1_000

test('each group of a window that is being closed is written once, whoever holds it', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-closing-'))
  const server = await startRedis({ dir, detached: false }, silent)
  const it = await Shard.open('closing', {}, `redis://127.0.0.1:${server.port}`)
  try {
    await it.register(0)
    const cells = (await cellsOfOne(it))!
    const groups = Array.from({ length: GROUPS }, (_, n) => `group ${n}`)
    await it.redis.hset(it.keys.pane(0), new Map(groups.map((group) => [group, cells])))
    await it.redis.hset(it.keys.clock, 'watermark', 10 * S, 'closedTo', 5 * S)
    let more = true
    for (let steps = 0; more; steps++) {
      if (steps === 3) {
        expect(await it.redis.hget(it.keys.clock, 'closingCursor')).not.toBe('0')
        await server.stop()
        await server.start()
        await untilReady(it.store)
      }
      more = (await it.advance({ budget: 250 })).more
    }
    const rows = (await it.closedRows()).map(({ group }) => group)
    expect(rows).toHaveLength(GROUPS + 1)
    expect(new Set(rows).size).toBe(GROUPS + 1)
  } finally {
    await it.end()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}, 60_000)

/** What a commit writes for a group. */
async function cellsOfOne(it: Shard): Promise<Buffer | null> {
  await it.append(0, 0, [{ from: 0, to: 1 }])
  const [entry] = await it.read('e1')
  await it.commit({ slices: [{ entry: entry!, max: 1 * S }], panes: { 0: { a: [1] } } })
  return it.redis.hgetBuffer(it.keys.pane(0), 'a')
}
