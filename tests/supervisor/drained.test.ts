/**
 * Executors of the real program that are drained through the API, without their supervisor having asked:
 * they leave in order, which is no failure, and others take their places.
 */
import { afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import type { Snapshot } from '../../actors/measure.ts'
import { executorRestarts } from '../../supervisor/restarts.ts'
import { drainExecutor } from '../../web/control.ts'
import { watchForLeaks } from '../support/leaks.ts'
import { testServices } from '../support/services.ts'
import { until } from '../../faults/until.ts'
import { createFamily, type Family, inState, quiet } from './family.ts'

let family: Family
let noLeaks: () => Promise<void>

beforeAll(testServices, 120_000)

/** Nobody may die even once: the first crash has the whole kind given up. */
const strict = { ...executorRestarts, crashesMax: 0 }

beforeEach(async () => {
  noLeaks = await watchForLeaks()
  family = await createFamily('drained', 'good', strict, 5_000, { warm: 0 })
})

afterEach(async () => {
  await family.close()
  await noLeaks()
})

const atWork = (now: Snapshot) => inState(now, 'running').filter(({ alive }) => alive)
const members = () => [...family.fleet.ward.members.keys()]

async function drain(id: string): Promise<void> {
  const { store, keys } = family
  await drainExecutor({ store, keys, log: quiet }, id, 'test')
}

test('one after the other is drained and replaced at once, and none has failed', async () => {
  const { lookUntil, fleet, snapshot } = family
  for (let round = 1; round <= 3; round++) {
    await lookUntil('two at work', 2, (now) => atWork(now).length === 2)
    const [id] = members()
    await drain(id!)
    await until('its end', () => !members().includes(id!))
    expect(fleet.ward.failed).toBeNull()
    expect(fleet.ward.waitMs).toBe(0)
    const gone = inState(await snapshot(), 'stopped')
    expect(gone).toHaveLength(round)
    expect(gone.find((actor) => actor.id === id)?.reason).toBe('drained by request')
  }
  await lookUntil('two at work', 2, (now) => atWork(now).length === 2)
  expect(inState(await snapshot(), 'dead')).toEqual([])
}, 60_000)

test('that says so is no more counted on: its place is taken before it is gone, as far as may be', async () => {
  const { look, lookUntil, register, fleet } = family
  await lookUntil('one at work', 1, (now) => atWork(now).length === 1)
  const [id] = members()
  const { actors } = await family.snapshot()
  // Its own next heartbeat would say that it works.
  process.kill(actors[0]!.pid, 'SIGSTOP')
  const draining = { ...actors[0]!, state: 'draining' as const, reason: 'drained', asked: true }
  await register.announce(draining)
  await look(1, 1)
  expect(fleet.living(await family.snapshot())).toEqual([])
  expect(members()).toEqual([id!])
  await look(1, 2)
  expect(members()).toHaveLength(2)
}, 60_000)

test('is not replaced where nobody is wanted any more', async () => {
  const { look, lookUntil, fleet } = family
  await lookUntil('one at work', 1, (now) => atWork(now).length === 1)
  const [id] = members()
  await drain(id!)
  await until('its end', () => members().length === 0)
  await look(0)
  expect(members()).toEqual([])
  expect(fleet.ward.failed).toBeNull()
}, 60_000)

test('one that leaves because somebody sent it a signal was asked by nobody, as before', async () => {
  const { lookUntil, fleet } = family
  await lookUntil('one at work', 1, (now) => atWork(now).length === 1)
  process.kill([...fleet.ward.members.values()][0]!.child.pid, 'SIGTERM')
  await until('its end', () => members().length === 0)
  expect(fleet.ward.failed).toContain('left unasked')
}, 60_000)
