import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { uniqueName } from '../../faults/names.ts'
import { student } from '../../faults/student.ts'
import { executorRestarts } from '../../supervisor/restarts.ts'
import { encodeBatch } from '../support/batches.ts'
import { watchForLeaks } from '../support/leaks.ts'
import { testServices } from '../support/services.ts'
import { createFamily, type Family, inState } from './family.ts'

const RECORDS = 20
/** In place of `workTimeout` and its margin. */
const HUNG_MS = 2_000

let family: Family | null = null
let flag: string
let noLeaks: () => Promise<void>

beforeAll(testServices, 120_000)

beforeEach(async () => {
  noLeaks = await watchForLeaks()
  flag = join(tmpdir(), uniqueName('hang'))
})

afterEach(async () => {
  await family?.close()
  family = null
  rmSync(flag, { force: true })
  await noLeaks()
})

/** A fleet of real executors, the first of which hangs; and entries of one record each. */
async function start(label: string, hangs: 'commit' | 'read' | 'nowhere'): Promise<Family> {
  const environment = { MILLRACE_TEST_HANG: flag, MILLRACE_TEST_HANGS: hangs }
  const preload = hangs === 'nowhere' ? null : join(import.meta.dir, 'hang.ts')
  const real = { warm: 0, environment, preload, hungMs: HUNG_MS }
  family = await createFamily(label, 'good', executorRestarts, 300, real)
  const { store, keys } = family
  await store.call('open', keys.base, ['topic', 'shape', 0, 0, RECORDS])
  for (let offset = 0; offset < RECORDS; offset++) {
    const payload = encodeBatch([{ offset, value: student() }])
    const place = [0, offset, offset + 1, RECORDS, 1]
    await store.call('append', keys.base, [...place, offset, offset + 1, 1, payload])
  }
  return family
}

const isDone = ({ totals, entries }: Awaited<ReturnType<Family['snapshot']>>) =>
  totals.committed >= RECORDS && entries === 0

describe('an executor that beats and does nothing', () => {
  for (const hangs of ['commit', 'read'] as const) {
    test(`because its ${hangs} never returns is killed, and nothing is lost or doubled`, async () => {
      const { lookUntil, snapshot } = await start(`hung-${hangs}`, hangs)
      await lookUntil('all records', 1, isDone)
      const now = await snapshot()
      expect(now.totals).toMatchObject({ counted: RECORDS, committed: RECORDS, rejected: 0 })
      const reasons = inState(now, 'dead').map(({ reason }) => reason)
      expect(reasons).toEqual([expect.stringMatching(/^stuck: no progress for \d+ s/)])
    }, 60_000)
  }

  test('because it has nothing to do is left alone', async () => {
    const { lookUntil, snapshot, fleet } = await start('hung-idle', 'nowhere')
    await lookUntil('all records', 1, isDone)
    const [member] = fleet.ward.live()
    const before = (await snapshot()).at
    await lookUntil('far more than the bound', 1, ({ at }) => at - before > 2 * HUNG_MS)
    expect([...fleet.ward.members.keys()]).toEqual([member!.child.id])
    expect(inState(await snapshot(), 'dead')).toEqual([])
  }, 60_000)
})
