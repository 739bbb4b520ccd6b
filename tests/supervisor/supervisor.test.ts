import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import students from '../../jobs/students.ts'
import { createLog } from '../../actors/log.ts'
import { measure } from '../../actors/measure.ts'
import { type Actor, noWork } from '../../actors/messages.ts'
import type { Child, Exit } from '../../supervisor/child.ts'
import { readCost } from '../../supervisor/cost.ts'
import { readDecisions } from '../../supervisor/decisions.ts'
import { readLoop } from '../../supervisor/loop.ts'
import { readSamples } from '../../supervisor/measurements.ts'
import { Pulse } from '../../supervisor/pulse.ts'
import type { SupervisorOptions } from '../../supervisor/options.ts'
import { Supervisor } from '../../supervisor/supervisor.ts'
import { testServices } from '../support/services.ts'
import { until } from '../../faults/until.ts'
import { executor } from './accounts.ts'
import { openJob, quiet } from './family.ts'

beforeAll(testServices, 120_000)

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** Children that are no processes: they end when they are signalled, or at once where they refuse. */
function pretendedChildren(refusing: readonly Actor['kind'][]) {
  const started: Actor['kind'][] = []
  const spawn = (kind: Actor['kind']): Child => {
    started.push(kind)
    const { promise, resolve } = Promise.withResolvers<Exit>()
    if (refusing.includes(kind)) resolve({ code: 1, signal: null, lastLine: `${kind}: not so` })
    const id = `${kind}-${started.length}`
    const signal = () => resolve({ code: null, signal: 'SIGTERM', lastLine: '' })
    return { id, kind, pid: 0, startedAt: systemClock.now(), exited: promise, signal }
  }
  return { started, spawn }
}

async function create(
  label: string,
  given = new Set<'min' | 'max' | 'policy'>(),
  max = 4,
  refusing: readonly Actor['kind'][] = [],
  others: Partial<SupervisorOptions> = {},
) {
  const { store, keys } = await openJob(label)
  const { started, spawn } = pretendedChildren(refusing)
  const pulse = new Pulse(systemClock)
  const make = (id: string, more: Partial<SupervisorOptions> = {}) =>
    new Supervisor({
      id,
      job: students,
      keys,
      store,
      clock: systemClock,
      log: quiet,
      pulse,
      spawn: (kind) => ({ ...spawn(kind), of: id }),
      limits: { min: 0, max, policy: 'backlog', maxResultDelayMs: 2_000, given },
      pricePerHour: 0.05,
      web: refusing.includes('web'),
      ...others,
      ...more,
    })
  closing.push(() => store.close())
  return { store, keys, pulse, started, make }
}

/** A record in the stream, as the bridge's append leaves it. */
const append = (store: Awaited<ReturnType<typeof openJob>>['store'], base: string) =>
  store.call('append', base, [0, 0, 1, 1, 1, 0, 1, 1, 'payload'])

/** An executor on another machine, as its heartbeat tells of it. */
const elsewhere = (id: string): Actor => ({
  id,
  kind: 'executor',
  pid: 1,
  host: 'elsewhere',
  state: 'running',
  startedAt: systemClock.now(),
  at: systemClock.now(),
  stoppedAt: null,
  reason: null,
  rssBytes: 0,
  ...noWork,
})

/** An executor says that it runs. */
function beat(store: Awaited<ReturnType<typeof openJob>>['store'], base: string, id: string) {
  const account = executor(id, { startedAt: systemClock.now(), at: systemClock.now() })
  return store.call('beat', base, [id, JSON.stringify(account), 60_000])
}

async function withLedger(label: string) {
  const all = await create(label)
  await all.store.call('open', all.keys.base, ['topic', 'shape', 0, 0, 0])
  return all
}

describe('supervisor', () => {
  test('takes over, writes the limits, starts the bridge; a record starts an executor', async () => {
    const { store, keys, started, make } = await withLedger('supervisor-wake')
    const supervisor = make('one')
    await supervisor.look()
    await supervisor.look()
    expect(await store.redis.hgetall(keys.control)).toEqual({
      min: '0',
      max: '4',
      policy: 'backlog',
      maxResultDelayMs: '2000',
    })
    expect(started).toEqual(['bridge'])
    const samples = await readSamples(store, keys)
    expect(samples).toMatchObject([
      { waiting: 0, running: 0, target: 0, max: 4, policy: 'backlog' },
    ])
    await append(store, keys.base)
    await supervisor.look()
    expect(started).toEqual(['bridge', 'executor'])
    expect(await readDecisions(store, keys, 10)).toMatchObject([{ from: 0, to: 1, reason: 'wake' }])
    supervisor.kill()
  })

  test('a decision is told with its effect, the loop with what holds now', async () => {
    const { store, keys, started, make } = await withLedger('supervisor-effect')
    const supervisor = make('one')
    await supervisor.look()
    await supervisor.look()
    await store.redis.hset(keys.control, 'min', 1)
    await supervisor.look()
    expect(started).toEqual(['bridge', 'executor'])
    expect(await readDecisions(store, keys, 10)).toMatchObject([{ to: 1, effectMs: null }])
    await beat(store, keys.base, 'executor-2')
    await supervisor.look()
    const [decision] = await readDecisions(store, keys, 10)
    expect(decision?.effectMs).toBeGreaterThanOrEqual(0)
    // Told once a second.
    const told = await until('the loop', async () => {
      await supervisor.look()
      const loop = await readLoop(store, keys)
      return loop && loop.looks > 3 ? loop : null
    })
    expect(told).toMatchObject({ supervisor: 'one', failed: 0, out: { count: 1 } })
    expect(told.decision).toMatchObject({ from: 1, to: 1 })
    expect(told.decision?.sentence).toContain('1 executor stays')
    supervisor.kill()
  })

  test('executors cost until they are gone, also while the supervisor ends', async () => {
    const { store, keys, make } = await withLedger('supervisor-cost')
    const ended = new AbortController()
    const running = make('one').run(ended.signal)
    await append(store, keys.base)
    await until('an executor', async () => (await store.redis.hkeys(keys.actors)).length === 2)
    await until('a cost', async () => (await readCost(store, keys)).executorSeconds > 0)
    ended.abort()
    await running
    const { since, elapsedSeconds, executorSeconds } = await readCost(store, keys)
    const { actors } = await measure(store, keys)
    const { startedAt, stoppedAt } = actors.find(({ kind }) => kind === 'executor')!
    // The wall clock tells whole milliseconds only.
    expect(executorSeconds * 1_000).toBeLessThanOrEqual(stoppedAt! - startedAt + 2)
    expect(Date.parse(since!) + elapsedSeconds * 1_000).toBeGreaterThanOrEqual(stoppedAt! - 2)
  })

  test('a limit in Redis outlives a start without flags; a flag replaces it', async () => {
    const { store, keys, make } = await create('supervisor-limits', new Set(['max'] as const), 2)
    await store.redis.hset(keys.control, { min: '1', max: '3' })
    await make('one').look()
    expect(await store.redis.hgetall(keys.control)).toMatchObject({ min: '1', max: '2' })
  })

  test('a second one starts nothing while another leads', async () => {
    const { started, make } = await withLedger('supervisor-second')
    const first = make('first')
    await first.look()
    await first.look()
    const second = make('second')
    await second.look()
    await second.look()
    expect(started).toEqual(['bridge'])
    first.kill()
  })

  test('one that stands by leads when the lease of a dead one ends, with the executors that are there', async () => {
    const { store, keys, started, make } = await withLedger('supervisor-takeover')
    const first = make('first')
    await first.look()
    await first.look()
    const second = make('second')
    await second.look()
    await store.call('beat', keys.base, ['a', JSON.stringify(elsewhere('a')), 60_000])
    await until('the second to lead', async () => {
      await second.look()
      return started.length === 2
    })
    expect(started).toEqual(['bridge', 'bridge'])
    expect(await store.redis.get(keys.leader)).toBe('second')
    expect(await store.redis.exists(keys.mailbox('a'))).toBe(0)
    // Who comes back finds that another leads.
    await first.look()
    expect(started).toHaveLength(2)
    second.kill()
  }, 30_000)

  test('flags of one that stood by replace what the leader began with, and not what was changed since', async () => {
    const { store, keys, make } = await create('supervisor-limits', new Set(['min', 'max']), 2)
    await store.redis.hset(keys.control, { min: 0, max: 4 })
    await store.call('lead', keys.base, ['leader', 'first', 60_000])
    const second = make('second')
    await second.look()
    await store.redis.hset(keys.control, 'min', 1)
    const leads = () =>
      until('the second to lead', async () => {
        await second.look()
        return (await store.redis.get(keys.leader)) === 'second'
      })
    await store.call('resign', keys.base, ['leader', 'first'])
    await leads()
    await second.look()
    expect(await store.redis.hmget(keys.control, 'min', 'max')).toEqual(['1', '2'])
    // Deposed by a stall of its own, it has nothing to say that it has not said.
    await store.redis.hset(keys.control, 'max', 3)
    await store.redis.set(keys.leader, 'first')
    await second.look()
    await store.redis.del(keys.leader)
    await leads()
    await second.look()
    expect(await store.redis.hmget(keys.control, 'min', 'max')).toEqual(['1', '3'])
    second.kill()
  })

  test('where another scales, it decides and tells, and starts and drains nobody', async () => {
    const without = new Set(['bridge', 'sinks', 'web'] as const)
    const options = { scales: false, without }
    const all = await create('supervisor-advises', undefined, 2, [], options)
    const { store, keys, started, make } = all
    await store.call('open', keys.base, ['topic', 'shape', 0, 0, 0])
    await append(store, keys.base)
    const supervisor = make('one')
    await until('the decision', async () => {
      await supervisor.look()
      return (await readLoop(store, keys))?.decision?.to === 1
    })
    // Those that came for it are no others that came by themselves, and none is one too many.
    const come = (id: string) =>
      store.call('beat', keys.base, [id, JSON.stringify(elsewhere(id)), 60_000])
    for (const id of ['a', 'b', 'c']) await come(id)
    for (let look = 0; look < 3; look++) await supervisor.look()
    expect(started).toEqual([])
    for (const id of ['a', 'b', 'c']) expect(await store.redis.xlen(keys.mailbox(id))).toBe(0)
    const decisions = await readDecisions(store, keys, 10)
    expect(decisions.map(({ from, to }) => [from, to])).toEqual([[0, 1]])
  }, 30_000)

  test('that ends hands its pods over where another stands by, and drains them where none does', async () => {
    for (const another of [true, false]) {
      const { promise: exited, resolve } = Promise.withResolvers<Exit>()
      const told: string[] = []
      const end = (what: string) => {
        told.push(what)
        resolve({ code: 0, signal: null, lastLine: '' })
      }
      const pod: Child = {
        id: 'executor-1',
        kind: 'executor',
        pid: 0,
        startedAt: systemClock.now(),
        exited,
        signal: end,
        elsewhere: {
          host: 'executor-1',
          hasBegun: () => true,
          leaving: () => null,
          isOutdated: () => false,
          release: () => end('released'),
        },
      }
      let orphans = [{ id: pod.id, warm: false }]
      const adopt = () => {
        orphans = []
        return pod
      }
      const foundlings = { orphans: () => orphans, adopt }
      const without = new Set(['bridge', 'sinks', 'web'] as const)
      const limits = { min: 1, max: 1, policy: 'backlog', maxResultDelayMs: 2_000 } as const
      const options = {
        foundlings,
        without,
        limits: { ...limits, given: new Set(['min'] as const) },
      }
      const all = await create('supervisor-heir', undefined, 1, [], options)
      const { store, keys, started, make } = all
      const heir = { ...elsewhere('heir'), kind: 'supervisor' }
      if (another) await store.call('beat', keys.base, ['heir', JSON.stringify(heir), 60_000])
      const ended = new AbortController()
      const supervisor = make('one')
      const running = supervisor.run(ended.signal)
      await until('it to be adopted', () => orphans.length === 0)
      ended.abort()
      const mailbox = keys.mailbox('executor-1')
      if (!another) {
        await until('it to be asked', async () => (await store.redis.xlen(mailbox)) > 0)
        end('left')
      }
      await running
      expect(told).toEqual(another ? ['released'] : ['left'])
      expect(started).toEqual([])
    }
  }, 60_000)

  test('on another machine runs what the leader wants there, and keeps it while nobody can say', async () => {
    const { store, keys, started, make } = await withLedger('supervisor-hosts')
    const machine = (name: string, standby = false) => ({
      name,
      cores: 4,
      limit: 64,
      standby,
      idle: () => 4,
      memoryFreeBytes: () => 2 ** 33,
    })
    const first = make('first', { machine: machine('alpha') })
    const lines: string[] = []
    const log = createLog('test', 'info', (line) => void lines.push(line))
    const second = make('second', { machine: machine('beta'), log })
    const third = make('third', { machine: machine('gamma', true), log })
    const tell = async () => {
      for (const [id, host, { offer }] of [
        ['first', 'alpha', first],
        ['second', 'beta', second],
        ['third', 'gamma', third],
      ] as const) {
        const account = { ...elsewhere(id), kind: 'supervisor', host, offer }
        await store.call('beat', keys.base, [id, JSON.stringify(account), 60_000])
      }
    }
    await first.look()
    await tell()
    await store.redis.hset(keys.control, { min: 2, max: 2 })
    for (const each of [first, second, third]) await each.look()
    expect(started.toSorted()).toEqual(['bridge', 'executor', 'executor'])
    expect(lines.filter((line) => line.includes('another'))).toEqual([
      expect.stringContaining('another supervisor leads; executors run here as it wants'),
      expect.stringContaining('another supervisor leads; standing by'),
    ])
    const [decision] = await readDecisions(store, keys, 1)
    expect(decision?.sentence).toContain('1 more on alpha (4.0 of 4 cores idle, 8.0 GiB free)')
    expect(decision?.sentence).toContain('1 more on beta')
    // Nobody starts them again, nor counts them as come by themselves.
    for (const each of [first, second, third]) await each.look()
    expect(started).toHaveLength(3)
    // Another leads, who has said nothing yet.
    await store.redis.set(keys.leader, 'another')
    await store.redis.hset(keys.hosts, 'want:second', 0)
    await second.look()
    expect(await store.redis.xlen(keys.mailbox('executor-3'))).toBe(0)
    await store.redis.set(keys.leader, 'first')
    await second.look()
    expect(await store.redis.xlen(keys.mailbox('executor-3'))).toBe(1)
    for (const each of [first, second, third]) each.kill()
  }, 30_000)

  test('that no host has a place for what waits is told, once', async () => {
    const { store, keys, started, make } = await withLedger('supervisor-places')
    const machine = {
      name: 'alpha',
      cores: 4,
      limit: 0,
      standby: false,
      idle: () => 4,
      memoryFreeBytes: () => 2 ** 33,
    }
    const supervisor = make('one', { machine })
    await append(store, keys.base)
    for (let look = 0; look < 4; look++) await supervisor.look()
    expect(started).toEqual(['bridge'])
    expect(await readDecisions(store, keys, 10)).toMatchObject([
      { to: 0, reason: 'hosts', sentence: '0 executors stay: 1 wanted, and the hosts take 0' },
    ])
    supervisor.kill()
  })

  test.each(['bridge', 'executor', 'web'] as const)(
    'the %s that refuses again and again is given up, and the job is degraded with its reason',
    async (kind) => {
      const { store, keys, started, make } = await create('supervisor-failed', undefined, 4, [kind])
      await store.call('open', keys.base, ['topic', 'shape', 0, 0, 0])
      await append(store, keys.base)
      const supervisor = make('one')
      const degraded = await until(
        'the decision',
        async () => {
          await supervisor.look()
          const decisions = await readDecisions(store, keys, 10)
          return decisions.find(({ reason }) => reason === 'degraded')
        },
        { timeoutMs: 40_000 },
      )
      const why = `the ${kind} failed: not so (exit code 1); it is tried again every 60 s`
      expect(degraded.sentence).toBe(`the job is degraded: ${why}`)
      const { actors } = await measure(store, keys)
      expect(actors.find(({ id }) => id === kind)).toMatchObject({ kind, state: 'failed' })
      const tried = started.length
      await supervisor.look()
      expect(started).toHaveLength(tried)
      supervisor.kill()
    },
    60_000,
  )

  test('who was started elsewhere is wanted, as far as the maximum goes; it costs nobody a place', async () => {
    const { store, keys, started, make } = await create('supervisor-elsewhere', undefined, 2)
    await store.call('open', keys.base, ['topic', 'shape', 0, 0, 0])
    const asked = async (id: string) => (await store.redis.xlen(keys.mailbox(id))) > 0
    const come = (id: string) =>
      store.call('beat', keys.base, [id, JSON.stringify(elsewhere(id)), 60_000])
    const supervisor = make('one')
    await supervisor.look()
    await supervisor.look()
    for (const id of ['a', 'b']) {
      await come(id)
      await supervisor.look()
    }
    await supervisor.look()
    expect([await asked('a'), await asked('b')]).toEqual([false, false])
    await come('c')
    await supervisor.look()
    const sent = await Promise.all(['a', 'b', 'c'].map(asked))
    expect(sent.filter(Boolean)).toHaveLength(1)
    expect(started).toEqual(['bridge'])
    supervisor.kill()
  })
})
