import { describe, expect, test } from 'bun:test'
import type { Snapshot } from '../../actors/measure.ts'
import { type Stalls, stallsAfter } from '../../supervisor/stalls.ts'

interface Seen {
  progress?: number
  /** Entries delivered to it; in the stream, all executors'. */
  pending?: number
  entries?: number
  state?: 'starting' | 'running' | 'draining'
  alive?: boolean
}

const see = ({ progress = 1, pending = 1, entries, state = 'running', alive = true }: Seen) =>
  ({
    entries: entries ?? pending,
    pending,
    pendingOf: new Map([['e', pending]]),
    actors: [{ id: 'e', kind: 'executor', state, alive, progress }],
  }) as unknown as Snapshot

/** How long it is known to stand still after looks `everyMs` apart; null is a failed one. */
function after(looks: (Seen | null)[], everyMs = 1_000): number {
  let stalls: Stalls = new Map()
  looks.forEach((seen, i) => {
    stalls = stallsAfter(stalls, seen && see(seen), i * everyMs)
  })
  return stalls.get('e')?.ms ?? 0
}

const four = (seen: Seen) => after([seen, seen, seen, seen])

describe('who stands still', () => {
  test('has entries and takes no step, or lets them lie', () => {
    expect(four({})).toBe(3_000)
    expect(four({ pending: 0, entries: 1 })).toBe(3_000)
    expect(four({ state: 'starting', pending: 0, entries: 1 })).toBe(3_000)
  })

  test('is nobody who has nothing to do, drains, or is not heard', () => {
    expect(four({ pending: 0 })).toBe(0)
    expect(four({ state: 'draining' })).toBe(0)
    expect(four({ alive: false })).toBe(0)
  })

  test('begins anew with each step, with nothing to do, and when nobody knows', () => {
    expect(after([{}, {}, {}, { progress: 2 }, { progress: 2 }])).toBe(1_000)
    expect(after([{}, {}, { pending: 0 }, {}, {}])).toBe(1_000)
    expect(after([{}, {}, null, {}, {}])).toBe(1_000)
    // A counter that begins at 0 is another incarnation's.
    expect(after([{ progress: 9 }, { progress: 9 }, { progress: 0 }])).toBe(0)
  })

  test('did not while nobody looked', () => {
    expect(after([{}, {}], 3_600_000)).toBe(2_000)
  })
})
