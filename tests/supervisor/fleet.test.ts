import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { executorRestarts } from '../../supervisor/restarts.ts'
import { watchForLeaks } from '../support/leaks.ts'
import { testServices } from '../support/services.ts'
import { until } from '../../faults/until.ts'
import { createFamily, type Family, inState, type Mode } from './family.ts'

let family: Family | null = null
let noLeaks: () => Promise<void>

beforeAll(testServices, 120_000)

beforeEach(async () => {
  noLeaks = await watchForLeaks()
})

async function start(label: string, mode: Mode = 'good', graceMs?: number): Promise<Family> {
  family = await createFamily(label, mode, { ...executorRestarts, refusalsMax: 3 }, graceMs)
  return family
}

afterEach(async () => {
  await family?.close()
  family = null
  await noLeaks()
})

const running = (count: number) => (now: Parameters<typeof inState>[0]) =>
  inState(now, 'running').filter(({ alive }) => alive).length === count

describe('fleet', () => {
  test('starts what is missing and is seen at once; drains what is too much, in order', async () => {
    const { look, lookUntil, fleet, snapshot } = await start('fleet-target')
    await look(3)
    expect(fleet.ward.live()).toHaveLength(3)
    await until('accounts', async () => (await snapshot()).actors.length === 3)
    await lookUntil('three at work', 3, running(3))
    await lookUntil('two leave', 1, (now) => inState(now, 'stopped').length === 2)
    await until('their ends', () => fleet.ward.members.size === 1)
    const left = inState(await snapshot(), 'stopped')
    expect(left.map(({ reason }) => reason)).toEqual(['by mailbox', 'by mailbox'])
    expect(fleet.ward.failed).toBeNull()
  }, 30_000)

  test('a killed one is buried at once with its reason, and replaced', async () => {
    const { look, lookUntil, fleet, snapshot, wakes } = await start('fleet-kill')
    await lookUntil('one at work', 1, running(1))
    const [victim] = fleet.ward.live()
    const before = wakes()
    process.kill(victim!.child.pid, 'SIGKILL')
    await until('the wake', () => wakes() > before, { timeoutMs: 1_000 })
    const now = await snapshot()
    const dead = now.actors.find(({ id }) => id === victim!.child.id)
    expect(dead).toMatchObject({ state: 'dead', alive: false, reason: 'killed by SIGKILL' })
    await until('a new one', async () => {
      await look(1)
      return fleet.ward.live().length === 1
    })
    await lookUntil('it works', 1, running(1))
  }, 30_000)

  test('one that ended after the snapshot is neither counted nor taken for a stranger', async () => {
    const { lookUntil, fleet, snapshot } = await start('fleet-between')
    const before = await lookUntil('one at work', 1, running(1))
    const [victim] = fleet.ward.live()
    process.kill(victim!.child.pid, 'SIGKILL')
    await until('its end', () => fleet.ward.members.size === 0)
    await until('its burial', async () => inState(await snapshot(), 'dead').length === 1)
    const again = () => fleet.reconcile(before, { target: 1, max: 1 }, 'test')
    await until('another', async () => {
      await again()
      return fleet.ward.live().length === 1
    })
    await again()
    expect(fleet.ward.live()).toHaveLength(1)
    await lookUntil('the other at work', 1, running(1))
    expect(fleet.ward.ended).toBeEmpty()
  }, 30_000)

  test('one that does not leave is ended by SIGTERM, then SIGKILL, within the grace', async () => {
    const { lookUntil, fleet } = await start('fleet-deaf', 'deaf', 300)
    await lookUntil('one at work', 1, running(1))
    const asked = performance.now()
    const now = await lookUntil('its end', 0, (snapshot) => inState(snapshot, 'dead').length === 1)
    expect(performance.now() - asked).toBeLessThan(3_000)
    expect(inState(now, 'dead')[0]!.reason).toBe('test; killed by SIGKILL')
    expect(fleet.ward.mayStart).toBe(true)
  }, 30_000)

  test('with those that take long to leave there are never more than may be', async () => {
    const { look, lookUntil, fleet } = await start('fleet-most', 'deaf', 300)
    await lookUntil('two at work', 2, running(2))
    const first = new Set(fleet.ward.members.keys())
    await look(0, 2)
    await until('two others', async () => {
      await look(2, 2)
      expect(fleet.ward.members.size).toBeLessThanOrEqual(2)
      return [...fleet.ward.members.keys()].filter((id) => !first.has(id)).length === 2
    })
  }, 30_000)

  test('a stopped one is replaced when its lease ends, and killed', async () => {
    const { lookUntil, fleet } = await start('fleet-stopped')
    await lookUntil('one at work', 1, running(1))
    const [victim] = fleet.ward.live()
    process.kill(victim!.child.pid, 'SIGSTOP')
    await lookUntil('another at work', 1, (now) =>
      inState(now, 'running').some(({ id, alive }) => alive && id !== victim!.child.id),
    )
    const now = await lookUntil(
      'its death',
      1,
      (snapshot) => inState(snapshot, 'dead').length === 1,
    )
    expect(inState(now, 'dead')[0]!.reason).toBe('stuck: its heartbeats stopped')
  }, 30_000)

  test('a silent one keeps its place until it is killed: there are never two for one', async () => {
    const { look, lookUntil, fleet, snapshot } = await start('fleet-silent')
    await lookUntil('one at work', 1, running(1))
    const [sleeper] = fleet.ward.live()
    process.kill(sleeper!.child.pid, 'SIGSTOP')
    await until('its lease to end', async () =>
      (await snapshot()).actors.every(({ alive }) => !alive),
    )
    await look(1)
    expect([...fleet.ward.members.keys()]).toEqual([sleeper!.child.id])
    process.kill(sleeper!.child.pid, 'SIGCONT')
    await until('its next heartbeat', async () => running(1)(await snapshot()))
    await look(1)
    expect([...fleet.ward.members.keys()]).toEqual([sleeper!.child.id])
  }, 30_000)

  test('the same refusal again and again: failed, noted in Redis, and not tried in a loop', async () => {
    const { lookUntil, fleet } = await start('fleet-refuses', 'refuses')
    const now = await lookUntil(
      'failure',
      1,
      (snapshot) => inState(snapshot, 'failed').length === 1,
    )
    expect(inState(now, 'failed')[0]).toMatchObject({ id: 'executor', kind: 'executor' })
    expect(fleet.ward.failed).toBe(
      'the topic is another one (exit code 1); it is tried again every 60 s',
    )
    expect(inState(now, 'dead')).toHaveLength(3)
    expect(fleet.ward.mayStart).toBe(false)
  }, 30_000)

  test('a refusal that takes longer than it needs to be steady is the same refusal', async () => {
    // As on a busy machine, where a start alone takes seconds.
    const restarts = { ...executorRestarts, refusalsMax: 3, steadyMs: 5 }
    family = await createFamily('fleet-slow', 'refuses', restarts)
    const { fleet, lookUntil } = family
    const now = await lookUntil('failure', 1, () => fleet.ward.failed !== null)
    expect(inState(now, 'dead').length).toBeLessThanOrEqual(3)
  }, 30_000)

  test('one that was started elsewhere counts, and is drained by its mailbox alone', async () => {
    const { job, lookUntil, fleet, snapshot } = await start('fleet-stranger')
    const { environment } = await testServices()
    const standin = join(import.meta.dir, 'standin.ts')
    const stranger = Bun.spawn([process.execPath, standin, 'good', job, '--id', 'stranger'], {
      env: { ...process.env, ...environment },
      stdout: 'ignore',
      stderr: 'ignore',
    })
    await until('the stranger', async () => running(1)(await snapshot()))
    await lookUntil('it counts', 1, () => true)
    expect(fleet.ward.members.size).toBe(0)
    await lookUntil('it leaves', 0, (now) => inState(now, 'stopped').length === 1)
    expect(await stranger.exited).toBe(0)
  }, 30_000)

  test('children leave when the supervisor is killed', async () => {
    const { job, snapshot } = await start('fleet-orphans')
    const { environment } = await testServices()
    const parent = Bun.spawn([process.execPath, join(import.meta.dir, 'parent.ts'), job], {
      env: { ...process.env, ...environment },
      stdout: 'ignore',
      stderr: 'ignore',
    })
    await until('two at work', async () => running(2)(await snapshot()))
    parent.kill('SIGKILL')
    await until('both to leave', async () => inState(await snapshot(), 'stopped').length === 2)
    const reasons = inState(await snapshot(), 'stopped').map(({ reason }) => reason)
    expect(reasons).toEqual(['the supervisor is gone', 'the supervisor is gone'])
  }, 30_000)
})
