/**
 * Records that kill the process that works on them, with real processes: only they are rejected.
 * The test is the supervisor: it starts one executor after the other and says when one has died.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createHandFile, handText, readHand } from '../../../actors/executor/hand.ts'
import { encodeBatch } from '../../support/batches.ts'
import { watchForLeaks } from '../../support/leaks.ts'
import { testRedisUrl } from '../../support/redis.ts'
import { Shard } from '../../support/shard.ts'
import { until } from '../../../faults/until.ts'

const root = resolve(import.meta.dir, '../../..')
const T = 1_700_000_000_000

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-poison-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

let it: Shard
beforeEach(async () => {
  it = await Shard.open('poison')
})
afterEach(() => it.end())

/** A job file whose `where` kills its process when it sees a record with `kill`. */
function jobFile(where: string): string {
  const path = join(dir, `${it.name}.ts`)
  writeFileSync(
    path,
    `import { count, defineJob } from '${join(root, 'actors/job.ts')}'
import * as v from '${Bun.resolveSync('valibot', root)}'
const deadly = (record: { kill?: boolean }) => {
  if (record.kill) process.kill(process.pid, 'SIGKILL')
}
export default defineJob({
  name: '${it.name}',
  topic: 'records',
  schema: v.looseObject({ at: v.number(), kill: v.optional(v.boolean()) }),
  eventTime: (record) => record.at,
  window: { size: '5 s' },
  groupBy: [],
  aggregates: { n: count() },
  ${where}
})
`,
  )
  return path
}

/**
 * Executors until the stream is empty; answers with how many were killed. `noted`: as a supervisor's
 * children they leave behind what they had in hand.
 */
async function deathsUntilDrained(path: string, noted = true): Promise<number> {
  const empty = async () => (await it.measure()).entries === 0
  for (let deaths = 0; ; deaths++) {
    if (deaths > 12) throw new Error('executors die again and again')
    const id = `e${deaths}`
    const hand = join(dir, `${it.name}-${id}.hand`)
    if (noted) createHandFile(hand)
    const child = Bun.spawn(
      [process.execPath, join(root, 'actors/executor/main.ts'), path, '--id', id],
      {
        cwd: root,
        env: {
          PATH: process.env.PATH ?? '',
          REDIS_URL: testRedisUrl,
          ...(noted ? { MILLRACE_HAND: hand } : {}),
        },
        stdin: 'ignore',
        stdout: 'ignore',
        stderr: 'ignore',
      },
    )
    await until('the stream to be empty or the executor to be dead', async () => {
      return child.signalCode !== null || (await empty())
    })
    if (child.signalCode === null) {
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
      return deaths
    }
    expect(child.signalCode).toBe('SIGKILL')
    await it.call('bury', id, '{}', ...(noted ? [handText(readHand(hand)!)] : []))
  }
}

describe('a record that kills', () => {
  const work = 'work: async (record) => (deadly(record), record),'
  const filter = 'filter: (record) => (deadly(record), true),'
  test.each([
    // The third delivery of each rejects it.
    ['by work, one at a time', work, true, 6],
    ['by work, many at once', `${work} concurrency: 16,`, true, 6],
    ['by the filter', filter, true, 6],
    // Started by hand, an executor notes what it has in hand from an entry's second delivery on.
    ['by work, and nobody reads what was in hand,', work, false, 9],
    ['by the filter, and nobody reads what was in hand,', filter, false, 9],
  ] as const)(
    '%s is rejected, and its neighbours count',
    async (_, where, noted, deathsMax) => {
      const noLeaks = await watchForLeaks()
      const guilty = [17, 18, 61]
      const records = Array.from({ length: 90 }, (_, offset) => ({
        offset,
        value: JSON.stringify({ at: T, kill: guilty.includes(offset) }),
      }))
      await it.register(0)
      const entries = [0, 30, 60].map((from) => ({
        from,
        to: from + 30,
        payload: encodeBatch(records.slice(from, from + 30)),
      }))
      await it.append(0, 0, entries)
      const deaths = await deathsUntilDrained(jobFile(where), noted)
      const rejects = await it.redis.xrange(it.keys.rejects, '-', '+')
      expect(rejects.map(([, fields]) => [Number(fields[5]), fields[7]])).toEqual(
        guilty.map((offset) => [offset, 'poison']),
      )
      expect(await it.pane(T)).toEqual({ '[]': [87] })
      expect((await it.measure()).totals).toMatchObject({ counted: 87, rejected: 3, committed: 90 })
      expect(deaths).toBeLessThanOrEqual(deathsMax)
      await noLeaks()
    },
    60_000,
  )
})

test('an executor that is killed for another reason costs no record', async () => {
  const noLeaks = await watchForLeaks()
  const path = jobFile('work: async (record) => (await Bun.sleep(2), record),')
  await it.register(0)
  const records = Array.from({ length: 400 }, (_, offset) => ({
    offset,
    value: JSON.stringify({ at: T }),
  }))
  await it.append(0, 0, [{ from: 0, to: 400, payload: encodeBatch(records) }])
  for (let killed = 0; killed < 3; killed++) {
    const before = (await it.measure()).totals.committed
    const child = Bun.spawn(
      [process.execPath, 'actors/executor/main.ts', path, '--id', `k${killed}`],
      {
        cwd: root,
        env: { PATH: process.env.PATH ?? '', REDIS_URL: testRedisUrl },
        stdio: ['ignore', 'ignore', 'ignore'],
      },
    )
    await until('some progress', async () => (await it.measure()).totals.committed > before)
    child.kill('SIGKILL')
    await child.exited
    await it.call('bury', `k${killed}`, '{}')
  }
  expect(await deathsUntilDrained(path)).toBe(0)
  expect((await it.measure()).totals).toMatchObject({ counted: 400, rejected: 0 })
  expect(await it.pane(T)).toEqual({ '[]': [400] })
  await noLeaks()
}, 60_000)
