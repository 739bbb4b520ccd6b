import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { executorRestarts } from '../../supervisor/restarts.ts'
import { watchForLeaks } from '../support/leaks.ts'
import { testServices } from '../support/services.ts'
import { until } from '../../faults/until.ts'
import { createFamily, type Family, inState, namesOf, openJob } from './family.ts'

let family: Family | null = null
let noLeaks: () => Promise<void>

beforeAll(testServices, 120_000)

beforeEach(async () => {
  noLeaks = await watchForLeaks()
})

afterEach(async () => {
  await family?.close()
  family = null
  await noLeaks()
})

/** Longer than a real executor takes to start and to leave on a busy machine, so none is killed for it. */
const GRACE_MS = 30_000

/** A fleet of real executors at 0, one of which waits at its mailbox. */
async function startWarm(label: string) {
  family = await createFamily(label, 'good', executorRestarts, GRACE_MS, { warm: 1 })
  const { look, fleet } = family
  const one = await until('one that is warm', async () => {
    await look(0)
    return fleet.ward.warm()[0]
  })
  return { ...family, one, pid: one.child.pid }
}

type Now = Awaited<ReturnType<Family['snapshot']>>
const atWork = (now: Now) => inState(now, 'running').filter(({ alive }) => alive)

/** `XREAD` on the mailbox: connected, and ready to begin. */
async function untilWaiting({ store }: Family, count = 1): Promise<void> {
  await until('it to wait at its mailbox', async () => {
    const clients = String(await store.redis.client('LIST'))
    return clients.split('\n').filter((line) => line.includes('cmd=xread ')).length >= count
  })
}

describe('a warm executor', () => {
  test('counts for nothing, and is the one that begins when one is needed', async () => {
    const { look, lookUntil, fleet, snapshot, pid, one } = await startWarm('warm-begins')
    await untilWaiting(family!)
    const now = await look(0)
    expect(now.actors).toEqual([])
    expect(fleet.living(now)).toEqual([])
    expect(fleet.ward.members.size).toBe(1)
    await look(1)
    expect(fleet.ward.live().map(({ child }) => child.pid)).toEqual([pid])
    const [working] = atWork(await lookUntil('it works', 1, (at) => atWork(at).length === 1))
    expect(working).toMatchObject({ id: one.child.id, pid })
    await lookUntil('the next one waits', 1, () => fleet.ward.warm().length === 1)
    expect(atWork(await snapshot())).toHaveLength(1)
    await lookUntil('it leaves', 0, (at) => inState(at, 'stopped').length === 1)
    expect(fleet.ward.failed).toBeNull()
  }, 60_000)

  test('that is killed is replaced, and is in no register', async () => {
    const { lookUntil, fleet, snapshot, pid } = await startWarm('warm-killed')
    process.kill(pid, 'SIGKILL')
    await lookUntil('another one', 0, () =>
      fleet.ward.warm().some(({ child }) => child.pid !== pid),
    )
    expect((await snapshot()).actors).toEqual([])
    expect(fleet.ward.failed).toBeNull()
  }, 60_000)

  test('that does not hear is ended, and another one works in its place, never two', async () => {
    const { look, fleet, pid } = await startWarm('warm-deaf')
    await untilWaiting(family!)
    process.kill(pid, 'SIGSTOP')
    await look(1)
    expect(fleet.ward.live().map(({ child }) => child.pid)).toEqual([pid])
    const now = await until('another one at work', async () => {
      const at = await look(1)
      expect(fleet.living(at).length).toBeLessThanOrEqual(1)
      return atWork(at).some((actor) => actor.pid !== pid) ? at : null
    })
    expect(inState(now, 'dead')[0]).toMatchObject({ pid, reason: 'stuck: it never began' })
  }, 60_000)

  test('that is told twice, and to leave at once, begins once and leaves', async () => {
    const { look, lookUntil, register, one, fleet } = await startWarm('warm-twice')
    await look(1)
    await register.send(one.child.id, { kind: 'begin' })
    const now = await lookUntil('its leave', 0, (at) => inState(at, 'stopped').length === 1)
    expect(now.actors.map(({ id }) => id)).toEqual([one.child.id])
    await until('its end', () => !fleet.ward.members.has(one.child.id))
    expect(fleet.ward.failed).toBeNull()
  }, 60_000)

  test('is asked to end with the fleet, and leaves nothing behind', async () => {
    const { fleet, snapshot } = await startWarm('warm-ends')
    await fleet.drainOwn('the supervisor ends')
    await until('its end', () => fleet.ward.members.size === 0)
    expect((await snapshot()).actors).toEqual([])
  }, 60_000)

  test('leaves when its supervisor is killed', async () => {
    const { job, store } = await openJob('warm-orphan')
    const { environment } = await testServices()
    const parent = Bun.spawn([process.execPath, join(import.meta.dir, 'warm-parent.ts')], {
      env: { ...process.env, ...environment, ...namesOf(job) },
      stdout: 'pipe',
      stderr: 'ignore',
    })
    const { value } = await parent.stdout.getReader().read()
    const pid = Number(new TextDecoder().decode(value))
    await until('it to wait', async () =>
      String(await store.redis.client('LIST')).includes('cmd=xread '),
    )
    parent.kill('SIGKILL')
    await until('its end', () => !isAlive(pid))
    await store.close()
  }, 60_000)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
