import { describe, expect, test } from 'bun:test'
import type { Child } from '../../supervisor/child.ts'
import { stuckReason } from '../../supervisor/stuck.ts'

const hungMs = 45_000

interface Known {
  silentMs?: number
  known?: boolean
  state?: 'starting' | 'running'
  seenAt?: number
  stalledMs?: number
  warm?: boolean
  now?: number
}

/** Of one that was started, and let begin, at 1,000 by both clocks. */
function reasonOf(given: Known): string | null {
  const { silentMs = 0, known = true, state = 'running', seenAt = 1_000, stalledMs = 0 } = given
  const inHand = () => ({ entry: '1-0', partition: 2, offsets: [7] })
  const child = { id: 'e', startedAt: 1_000, inHand } as unknown as Child
  const register = {
    silentFor: () => silentMs,
    isKnown: () => known,
    state: () => (known ? state : null),
    seenAt,
    stalledFor: () => stalledMs,
  }
  const { warm = false, now = 1_000 } = given
  return stuckReason({ child, warm, stageAt: 1_000 }, register, now, hungMs)
}

describe('a child is stuck', () => {
  test('when it has work and takes no step for longer than its work may take', () => {
    expect(reasonOf({ stalledMs: 30_000 })).toBeNull()
    expect(reasonOf({ stalledMs: hungMs })).toBeNull()
    expect(reasonOf({ stalledMs: 45_600 })).toBe('stuck: no progress for 46 s, record 2/7 in hand')
  })

  test('when it falls silent, or never speaks', () => {
    expect(reasonOf({ silentMs: 1_501 })).toBe('stuck: its heartbeats stopped, record 2/7 in hand')
    expect(reasonOf({ known: false, now: 20_000 })).toBeNull()
    expect(reasonOf({ known: false, now: 21_001 })).toBe('stuck: it never announced itself')
  })

  test('when it was warm and does not begin; what has to load first may take longer', () => {
    expect(reasonOf({ warm: true, state: 'starting', seenAt: 4_000 })).toBeNull()
    expect(reasonOf({ warm: true, state: 'starting', seenAt: 4_001 })).toBe('stuck: it never began')
    // Redis came back older than the message, or than both.
    expect(reasonOf({ warm: true, known: false, seenAt: 4_001 })).toBe('stuck: it never began')
    expect(reasonOf({ warm: true, state: 'running', seenAt: 9_000 })).toBeNull()
    expect(reasonOf({ warm: false, state: 'starting', seenAt: 9_000 })).toBeNull()
  })
})
