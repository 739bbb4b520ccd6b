/** A fleet whose executors are pods: a stand-in for the API, pods that are processes, a real Redis. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../../actors/clock.ts'
import { createLog } from '../../../actors/log.ts'
import { measure, type Snapshot } from '../../../actors/measure.ts'
import type { Store } from '../../../actors/redis.ts'
import { until } from '../../../faults/until.ts'
import { ExecutorFleet } from '../../../supervisor/fleet.ts'
import { openCluster } from '../../../supervisor/kubernetes/api.ts'
import { labels } from '../../../supervisor/kubernetes/pod.ts'
import { Pods } from '../../../supervisor/kubernetes/pods.ts'
import { Register } from '../../../supervisor/register.ts'
import { executorRestarts } from '../../../supervisor/restarts.ts'
import { type FakeCluster, fakeCluster } from '../../support/cluster.ts'
import { Kubelet } from '../../support/kubelet.ts'
import { watchForLeaks } from '../../support/leaks.ts'
import { testServices } from '../../support/services.ts'
import { inState, type Mode, openJob } from '../family.ts'

const name = 'rooms-executor'
const standin = join(import.meta.dir, '..', 'standin.ts')

let cluster: FakeCluster
let kubelet: Kubelet
let opened: Awaited<ReturnType<typeof openJob>>
const leaders: Leader[] = []
let noLeaks: () => Promise<void>

beforeAll(testServices, 120_000)

beforeEach(async () => {
  noLeaks = await watchForLeaks()
})

async function setUp(label: string, mode: Mode = 'good', warm = 0): Promise<Leader> {
  opened = await openJob(label)
  cluster = fakeCluster({ template: { name, args: [mode, opened.job] } })
  const { environment } = await testServices()
  kubelet = new Kubelet({
    account: cluster.account,
    program: [process.execPath, standin],
    environment: { ...process.env, ...environment },
  })
  kubelet.start()
  return lead({ warm })
}

afterEach(async () => {
  for (const { pods, looking } of leaders.splice(0)) {
    pods.close()
    await looking
  }
  await kubelet.stop()
  await cluster.stop()
  await opened.store.close()
  await noLeaks()
})

interface Leader {
  fleet: ExecutorFleet
  pods: Pods
  looking: Promise<void>
  look: (target: number, max?: number) => Promise<Snapshot>
  lookUntil: (what: string, target: number, holds: (now: Snapshot) => boolean) => Promise<Snapshot>
}

/** A supervisor's fleet over the cluster; another one can take its place. */
function lead({ warm = 0, clock = systemClock }: { warm?: number; clock?: Clock } = {}): Leader {
  const { keys } = opened
  const store: Store = opened.store
  const quiet = createLog('test', 'error', () => {})
  const api = openCluster(cluster.account, name, labels.template)
  const pods = new Pods({ cluster: api, clock, log: quiet, lookMs: 50 })
  const register = new Register(store, keys, systemClock)
  const fleet = new ExecutorFleet({
    spawn: (_, waits = false) => pods.spawn(waits),
    foundlings: pods,
    warm,
    restarts: { ...executorRestarts, refusalsMax: 3 },
    register,
    clock: systemClock,
    log: quiet,
    wake: () => {},
    graceMs: 300,
  })
  const look = async (target: number, max = 8) => {
    const now = await measure(store, keys)
    register.observe(now)
    await fleet.reconcile(now, { target, max }, 'test')
    return now
  }
  const lookUntil: Leader['lookUntil'] = (what, target, holds) =>
    until(what, async () => {
      const now = await look(target)
      return holds(now) ? now : null
    })
  const leader = { fleet, pods, looking: pods.run(), look, lookUntil }
  leaders.push(leader)
  return leader
}

const running = (count: number) => (now: Snapshot) =>
  inState(now, 'running').filter(({ alive }) => alive).length === count
const podNames = () => [...cluster.pods.keys()].sort()

describe('executors as pods', () => {
  test('as many as are wanted; those too many drain by mailbox, and their pods go', async () => {
    const { lookUntil, fleet } = await setUp('pods-target')
    const now = await lookUntil('three at work', 3, running(3))
    expect(podNames()).toEqual(
      inState(now, 'running')
        .map(({ id }) => id)
        .sort(),
    )
    const left = await lookUntil('two leave', 1, (seen) => inState(seen, 'stopped').length === 2)
    expect(inState(left, 'stopped').map(({ reason }) => reason)).toEqual([
      'by mailbox',
      'by mailbox',
    ])
    await until('their pods to go', () => cluster.pods.size === 1)
    // It hears of that by its watch.
    await until('the fleet to have one', () => fleet.ward.members.size === 1)
    expect(fleet.ward.failed).toBeNull()
  }, 30_000)

  test('one that is killed is buried with its reason, and replaced', async () => {
    const { lookUntil } = await setUp('pods-kill')
    await lookUntil('one at work', 1, running(1))
    const [victim] = podNames()
    kubelet.running.get(victim!)!.process.kill('SIGKILL')
    const now = await lookUntil(
      'another',
      1,
      (seen) =>
        running(1)(seen) &&
        inState(seen, 'running').every(({ id }) => id !== victim) &&
        !cluster.pods.has(victim!),
    )
    const dead = now.actors.find(({ id }) => id === victim)
    expect(dead).toMatchObject({ state: 'dead', reason: 'killed by SIGKILL' })
  }, 30_000)

  test('one whose node is emptied is replaced before it has gone, and is no crash', async () => {
    const { lookUntil, fleet } = await setUp('pods-evicted', 'deaf')
    await lookUntil('one at work', 1, running(1))
    const [victim] = podNames()
    const { url, namespace, token } = cluster.account
    await fetch(`${url}/api/v1/namespaces/${namespace}/pods/${victim}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token()}` },
      body: '{}',
    })
    await lookUntil('another beside it', 1, () => podNames().some((one) => one !== victim))
    // It does not listen: the fleet ends it within its own grace, not within the pod's.
    await lookUntil('its end', 1, () => !cluster.pods.has(victim!))
    await lookUntil('the other at work', 1, running(1))
    expect(fleet.ward.mayStart).toBe(true)
  }, 30_000)

  test('one that does not leave is removed without grace', async () => {
    const { lookUntil } = await setUp('pods-deaf', 'deaf')
    await lookUntil('one at work', 1, running(1))
    const now = await lookUntil('its end', 0, (seen) => inState(seen, 'dead').length === 1)
    expect(inState(now, 'dead')[0]!.reason).toStartWith('test; killed by')
    expect(podNames()).toEqual([])
  }, 30_000)

  test('one that waits is begun in place of a new pod', async () => {
    const leader = await setUp('pods-warm', 'mute', 1)
    const { fleet, look, lookUntil } = leader
    await lookUntil('one to wait', 0, () => fleet.ward.warm().length === 1)
    await until('its pod', () => cluster.pods.size === 1)
    const [waiting] = podNames()
    expect(cluster.pods.get(waiting!)!.spec.containers[0]!.args!.slice(2)).toEqual([
      '--id',
      waiting!,
      '--warm',
    ])
    await until('it to run', () => fleet.ward.warm()[0]?.child.elsewhere?.hasBegun())
    await look(1)
    expect(fleet.ward.live().map(({ child }) => child.id)).toEqual([waiting!])
    fleet.ward.kill()
    await until('it to go', () => !cluster.pods.has(waiting!))
  }, 30_000)
})

describe('pods outlive their supervisor', () => {
  test('the next one adopts them, those without a node too, and starts no others', async () => {
    const first = await setUp('pods-adopt')
    await first.lookUntil('two at work', 2, running(2))
    kubelet.full = true
    await first.lookUntil('a third, without a node', 3, () => cluster.pods.size === 3)
    const before = podNames()
    first.pods.close()
    await first.looking

    const second = lead()
    await until('it to find them', () => second.pods.orphans().length === 3)
    await second.look(3)
    expect([...second.fleet.ward.members.keys()].sort()).toEqual(before)
    kubelet.full = false
    await second.lookUntil('three at work', 3, running(3))
    expect(podNames()).toEqual(before)
    await second.lookUntil('all leave', 0, () => cluster.pods.size === 0)
  }, 30_000)

  test('those that ended while nobody led are buried with their reason', async () => {
    const first = await setUp('pods-orphan-dead')
    await first.lookUntil('one at work', 1, running(1))
    const [victim] = podNames()
    first.pods.close()
    await first.looking
    kubelet.running.get(victim!)!.process.kill('SIGKILL')
    await until('its end', () => cluster.pods.get(victim!)?.status.phase === 'Failed')
    const now = await lead().lookUntil(
      'it to be buried',
      1,
      (seen) => inState(seen, 'dead').length > 0,
    )
    expect(inState(now, 'dead')[0]).toMatchObject({ id: victim, reason: 'killed by SIGKILL' })
    await until('its pod to go', () => !cluster.pods.has(victim!))
  }, 30_000)

  test('let go of, they go on, and nobody waits for their end', async () => {
    const { fleet, lookUntil } = await setUp('pods-release')
    await lookUntil('two at work', 2, running(2))
    fleet.ward.release()
    await fleet.ward.settled()
    expect(fleet.ward.members.size).toBe(0)
    expect(cluster.pods.size).toBe(2)
  }, 30_000)

  test('another template: they are replaced one at a time', async () => {
    const { lookUntil } = await setUp('pods-renew')
    await lookUntil('two at work', 2, running(2))
    const before = podNames()
    cluster.template.template.spec = {
      ...(cluster.template.template.spec as object),
      priorityClassName: 'another',
    }
    let least = Infinity
    await lookUntil('others in their place', 2, (now) => {
      least = Math.min(least, inState(now, 'running').filter(({ alive }) => alive).length)
      return running(2)(now) && podNames().every((one) => !before.includes(one))
    })
    expect(least).toBeGreaterThanOrEqual(1)
    const classes = [...cluster.pods.values()].map(({ spec }) => spec.priorityClassName)
    expect(classes).toEqual(['another', 'another'])
  }, 30_000)
})

describe('what goes wrong with the cluster', () => {
  test('a refusal counts as a start that failed, and is tried ever more seldom', async () => {
    const { fleet, lookUntil } = await setUp('pods-quota')
    const message = 'pods "executor" is forbidden: exceeded quota: compute'
    cluster.refusal = { status: 403, message }
    await lookUntil('it to be given up', 1, () => fleet.ward.failed !== null)
    expect(fleet.ward.failed).toContain(`Kubernetes refuses: ${message}`)
    expect(cluster.pods.size).toBe(0)
  }, 30_000)

  test('an API that is away changes nothing: who works goes on, and is told of', async () => {
    const { fleet, pods, look, lookUntil } = await setUp('pods-away')
    await lookUntil('one at work', 1, running(1))
    cluster.away = true
    await until('it to be told', () => pods.trouble)
    expect(pods.trouble).toContain('the server is currently unable to handle it')
    await look(2)
    const seen = cluster.calls.length
    await until('some more looks', () => cluster.calls.length > seen + 2)
    expect(fleet.ward.members.size).toBe(2)
    expect(cluster.pods.size).toBe(1)
    cluster.away = false
    await lookUntil('both at work', 2, running(2))
    expect(pods.trouble).toBeNull()
    expect(fleet.ward.failed).toBeNull()
  }, 30_000)

  test('a pod that finds no node is told after a while, and is not taken for stuck', async () => {
    await setUp('pods-pending')
    kubelet.full = true
    let ahead = 0
    const clock = { ...systemClock, elapsed: () => systemClock.elapsed() + ahead }
    const { pods, fleet, look, lookUntil } = lead({ clock })
    await lookUntil('its pod', 1, () => cluster.pods.size === 1)
    const [pod] = cluster.pods.values()
    const message = '0/1 nodes are available: 1 Insufficient cpu.'
    const unplaced = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }
    pod!.status.conditions = [unplaced]
    const seen = cluster.calls.length
    await until('another look', () => cluster.calls.length > seen + 2)
    expect(pods.trouble).toBeNull()
    ahead = 20_000
    await until('it to be told', () => pods.trouble)
    expect(pods.trouble).toBe(`${pod!.metadata.name} can't begin: Unschedulable: ${message}`)
    await look(1)
    expect(fleet.ward.live().map(({ child }) => child.id)).toEqual([pod!.metadata.name])
  }, 30_000)
})
