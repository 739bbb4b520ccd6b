/** Placement: what must hold of any hosts, and some that a person can follow. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { placement, type Room } from '../../supervisor/placement.ts'

const room = (id: string, given: Partial<Room> = {}): Room => ({
  id,
  limit: 64,
  cores: 4,
  idle: 4,
  counted: given.has ?? 0,
  fits: 100,
  has: 0,
  ...given,
})

const numbers = (counts: Map<string, number>) => Object.fromEntries(counts)
const place = (hosts: Room[], target: number, max = 64) => numbers(placement(hosts, target, max))

const anyHosts = fc
  .array(
    fc.record({
      limit: fc.nat(12),
      cores: fc.integer({ min: 1, max: 16 }),
      idle: fc.option(fc.double({ min: 0, max: 16, noNaN: true })),
      counted: fc.nat(12),
      fits: fc.nat(12),
      has: fc.nat(12),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((some) => some.map((one, i): Room => ({ id: `host-${i}`, ...one })))

const sum = (counts: Iterable<number>) => [...counts].reduce((all, one) => all + one, 0)
const stays = ({ has, limit }: Room) => Math.min(has, limit)
const places = ({ limit, fits, ...host }: Room) =>
  Math.min(limit, stays({ limit, fits, ...host }) + fits)

function always(holds: (hosts: Room[], counts: Map<string, number>, target: number) => void) {
  fc.assert(
    fc.property(anyHosts, fc.nat(30), (hosts, target) => {
      // No more than wanted for a moment: nothing can be started before something ends.
      holds(hosts, placement(hosts, target, target), target)
    }),
    { numRuns: 500 },
  )
}

describe('always', () => {
  test('as many as wanted, as far as the hosts have places', () => {
    always((hosts, counts, target) => {
      const capacity = sum(hosts.map(places))
      const tried = hosts.some(({ limit }) => limit > 0) ? 1 : 0
      expect(sum(counts.values())).toBe(Math.min(target, Math.max(capacity, tried)))
    })
  })

  test('no host has more than it takes', () => {
    always((hosts, counts) => {
      for (const { id, limit } of hosts) expect(counts.get(id)).toBeLessThanOrEqual(limit)
    })
  })

  test('no host is given more than its memory has room for, but for the first of a job', () => {
    always((hosts, counts) => {
      if (sum(counts.values()) <= 1) return
      for (const host of hosts) expect(counts.get(host.id)).toBeLessThanOrEqual(places(host))
    })
  })

  test('nothing moves where no host is short of cores', () => {
    always((hosts, counts, target) => {
      const crowded = hosts.some(({ cores, idle, has }) => has > cores && idle !== null && idle < 1)
      if (crowded) return
      const moved = sum(hosts.map((host) => Math.abs(counts.get(host.id)! - stays(host))))
      expect(moved).toBe(Math.abs(sum(counts.values()) - sum(hosts.map(stays))))
      if (sum(hosts.map(stays)) === target) expect(moved).toBe(0)
    })
  })

  test('what is placed stays placed', () => {
    always((hosts, counts, target) => {
      const calm = hosts.map((host) => ({ ...host, idle: null, has: counts.get(host.id)! }))
      expect(numbers(placement(calm, Math.min(target, sum(counts.values())), target))).toEqual(
        numbers(counts),
      )
    })
  })

  test('for a moment there is at most one more than wanted, and never more than there may be', () => {
    fc.assert(
      fc.property(anyHosts, fc.nat(20), fc.nat(4), (hosts, target, more) => {
        const all = sum(placement(hosts, target, target + more).values())
        expect(all).toBeLessThanOrEqual(Math.min(target + 1, target + more))
      }),
      { numRuns: 500 },
    )
  })
})

describe('placement', () => {
  test('one host has all of them', () => {
    expect(place([room('a')], 7)).toEqual({ a: 7 })
  })

  test('spreads over equal hosts, the first of them first', () => {
    expect(place([room('a'), room('b')], 1)).toEqual({ a: 1, b: 0 })
    expect(place([room('a'), room('b')], 2)).toEqual({ a: 1, b: 1 })
    expect(place([room('a'), room('b')], 5)).toEqual({ a: 3, b: 2 })
  })

  test('by cores that are free: those of a large host before those of a small or busy one', () => {
    expect(
      place([room('small', { cores: 2, idle: 2 }), room('large', { cores: 8, idle: 8 })], 6),
    ).toEqual({ small: 0, large: 6 })
    expect(place([room('busy', { idle: 0.4 }), room('idle')], 2)).toEqual({ busy: 0, idle: 2 })
  })

  test('beyond all cores as evenly as before: work that waits needs none', () => {
    expect(place([room('a', { cores: 2, idle: 2 }), room('b', { cores: 2, idle: 2 })], 16)).toEqual(
      {
        a: 8,
        b: 8,
      },
    )
  })

  test('a full host takes none, nor does one without memory, while another can', () => {
    expect(place([room('full', { limit: 1, has: 1 }), room('b', { idle: 0 })], 4)).toEqual({
      full: 1,
      b: 3,
    })
    expect(place([room('a', { fits: 0 }), room('b', { fits: 1, idle: 0 })], 2)).toEqual({
      a: 0,
      b: 1,
    })
    expect(place([room('a', { fits: 0 })], 2)).toEqual({ a: 1 })
  })

  test('what runs stays: a host that comes back is given what is wanted from then on', () => {
    const back = [room('a', { has: 4 }), room('b')]
    expect(place(back, 4)).toEqual({ a: 4, b: 0 })
    expect(place(back, 5)).toEqual({ a: 4, b: 1 })
    expect(place([room('a', { has: 4 }), room('b', { has: 1 })], 4)).toEqual({ a: 3, b: 1 })
  })

  test('but where there are more than cores and none is free, one moves to a free one: started first', () => {
    const crowded = room('a', { cores: 2, idle: 0.1, has: 4 })
    expect(place([crowded, room('b')], 4)).toEqual({ a: 4, b: 1 })
    // The one too many goes from there, while the next is started.
    expect(place([crowded, room('b', { has: 1 })], 4)).toEqual({ a: 3, b: 2 })
    expect(place([{ ...crowded, has: 3 }, room('b', { has: 2 })], 4)).toEqual({ a: 2, b: 2 })
    expect(place([{ ...crowded, has: 2 }, room('b', { has: 2 })], 4)).toEqual({ a: 2, b: 2 })
    expect(place([crowded, room('b')], 4, 4)).toEqual({ a: 3, b: 1 })
    expect(place([room('a', { cores: 2, idle: 1.9, has: 4 }), room('b')], 4)).toEqual({
      a: 4,
      b: 0,
    })
    expect(place([crowded, room('b', { idle: 0.5 })], 4)).toEqual({ a: 4, b: 0 })
  })
})
