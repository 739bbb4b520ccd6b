import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Snapshot } from '../../actors/measure.ts'
import { readDecisions, recordDecision } from '../../supervisor/decisions.ts'
import { emptyHistogram, observed } from '../../supervisor/histogram.ts'
import { Loop, readLoop } from '../../supervisor/loop.ts'
import type { Decision } from '../../supervisor/reasons.ts'
import { openPlace, type Place } from '../support/redis.ts'
import { rejection } from '../support/rejection.ts'
import { executor, HandClock, T0 } from './accounts.ts'

describe('a histogram', () => {
  test('has count, sum, last, max, and buckets whose bounds belong to them', () => {
    const all = [1, 2.5, 2.6, 61_000].reduce(observed, emptyHistogram)
    expect(all).toMatchObject({ count: 4, sum: 61.0061, last: 61, max: 61 })
    expect(all.buckets.slice(0, 4)).toEqual([1, 1, 1, 0])
    expect(all.buckets.reduce((sum, n) => sum + n)).toBe(3)
    expect(observed(all, 5)).toMatchObject({ last: 0.005, max: 61 })
  })
})

const snapshotOf = (actors: Snapshot['actors']) => ({ actors }) as Snapshot

describe('the loop', () => {
  let place: Place
  let clock: HandClock
  let loop: Loop
  beforeEach(async () => {
    place = await openPlace('loop')
    clock = new HandClock()
    loop = new Loop('s1', place.store, place.keys, clock)
  })
  afterEach(() => place.end())

  const decision = (from: number, to: number): Decision => ({
    at: clock.now(),
    from,
    to,
    reason: 'hold',
    sentence: 'as many as the work needs',
    inputs: { backlog: 3 },
  })
  const end = (actors: Snapshot['actors']) => loop.ends(snapshotOf(actors), actors)

  test('is late by what is over the plan; woken early it is not late', () => {
    loop.begins()
    expect(loop.account.lateness.count).toBe(0)
    loop.pauses(250)
    clock.pass(290)
    loop.begins()
    expect(loop.account.lateness).toMatchObject({ count: 1, last: 0.04, max: 0.04 })
    loop.pauses(250)
    clock.pass(30)
    loop.begins()
    expect(loop.account.lateness).toMatchObject({ count: 2, last: 0, max: 0.04, sum: 0.04 })
    expect(loop.account.looks).toBe(3)
  })

  test('a measurement is as old as the question; one that failed is counted, and has no age', () => {
    loop.begins()
    clock.pass(5)
    loop.measures()
    clock.pass(8)
    loop.measured(true)
    clock.pass(1)
    loop.decided(decision(1, 1), true)
    expect(loop.account).toMatchObject({ failed: 0, age: { count: 1, last: 0.009 } })
    loop.measured(false)
    loop.decided(decision(1, 1), false)
    expect(loop.account).toMatchObject({ failed: 1, age: { count: 1 } })
  })

  test('tells Redis once a second, and less often of nothing: how long looks took, and the newest decision', async () => {
    loop.begins()
    loop.decided(decision(1, 1), true)
    clock.pass(20)
    await end([executor('a')])
    const told = await readLoop(place.store, place.keys)
    expect(told).toMatchObject({ supervisor: 's1', looks: 1, at: T0 + 20, look: { last: 0.02 } })
    expect(told?.decision).toEqual({ ...decision(1, 1), at: T0 })
    clock.pass(900)
    loop.begins()
    await end([executor('a')])
    expect((await readLoop(place.store, place.keys))?.looks).toBe(1)
    clock.pass(200)
    await end([executor('a')])
    expect((await readLoop(place.store, place.keys))?.looks).toBe(2)
    loop.begins()
    clock.pass(3_900)
    await end([])
    expect((await readLoop(place.store, place.keys))?.looks).toBe(2)
    clock.pass(200)
    await end([])
    expect((await readLoop(place.store, place.keys))?.looks).toBe(3)
  })

  test('a decision is told with how long it took to take effect', async () => {
    const { store, keys } = place
    const keep = async (each: Decision) =>
      loop.recorded(each, await recordDecision(store, keys, each))
    loop.begins()
    await keep(decision(0, 1))
    await end([])
    expect(await readDecisions(store, keys, 5)).toMatchObject([{ to: 1, effectMs: null }])
    clock.pass(250)
    await keep(decision(1, 2))
    loop.begins()
    await end([executor('a', { at: T0 + 120 })])
    const kept = await readDecisions(store, keys, 5)
    expect(kept.map(({ to, effectMs }) => [to, effectMs])).toEqual([
      [2, null],
      [1, 120],
    ])
    expect(loop.account).toMatchObject({ out: { count: 1, last: 0.12 }, in: { count: 0 } })
  })

  test('what Redis refused to hear is told at a later look', async () => {
    const { store, keys } = place
    const each = decision(0, 1)
    loop.recorded(each, await recordDecision(store, keys, each))
    await store.redis.set(keys.effects, 'not a stream')
    loop.begins()
    expect((await rejection(end([executor('a')]))).message).toContain('WRONGTYPE')
    await store.redis.del(keys.effects)
    await end([executor('a')])
    expect(await readDecisions(store, keys, 5)).toMatchObject([{ effectMs: 0 }])
    expect(loop.account.out.count).toBe(1)
  })

  test('what another version wrote is not read', async () => {
    expect(await readLoop(place.store, place.keys)).toBeNull()
    await place.store.redis.set(place.keys.loop, '{"looks":"many"}')
    expect(await readLoop(place.store, place.keys)).toBeNull()
  })
})
