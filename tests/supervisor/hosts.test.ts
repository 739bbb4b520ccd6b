/** Which supervisors' machines count, and what is said of them. */
import { describe, expect, test } from 'bun:test'
import type { Snapshot } from '../../actors/measure.ts'
import type { Offer } from '../../actors/messages.ts'
import {
  changesText,
  fitted,
  lostText,
  machineOf,
  type Own,
  peersOf,
  withMoves,
  wordOf,
} from '../../supervisor/hosts.ts'
import type { Decision } from '../../supervisor/reasons.ts'
import { executor, type Known } from './accounts.ts'

const offer = (given: Partial<Offer> = {}): Offer => ({
  cores: 4,
  idle: 3.8,
  memoryFreeBytes: 8 * 2 ** 30,
  limit: 64,
  executors: 0,
  code: 'one',
  ...given,
})

const own: Own = { id: 's-1', name: 'alpha', offer: offer(), living: 2, present: 2 }

const supervisor = (id: string, host: string, given: Partial<Known> = {}): Known =>
  executor(id, { kind: 'supervisor', host, offer: offer(), ...given })

const peers = (...actors: Known[]) => peersOf({ actors }, own)
const unfit = (...actors: Known[]) =>
  Object.fromEntries(peers(...actors).map(({ id, unfit }) => [id, unfit]))

describe('hosts', () => {
  test('those that live and offer something, with the executors that are theirs', () => {
    const found = peers(
      supervisor('s-1', 'alpha'),
      supervisor('s-2', 'beta'),
      supervisor('s-3', 'gone', { alive: false }),
      executor('s-4', { kind: 'supervisor', host: 'standby' }),
      executor('a', { of: 's-2' }),
      executor('b', { of: 's-2', state: 'draining' }),
      executor('c', { of: 's-2', alive: false }),
      executor('d', { of: 's-2', state: 'stopped' }),
      executor('e'),
    )
    expect(found.map(({ id, living, present }) => [id, living, present])).toEqual([
      ['s-1', 2, 2],
      ['s-2', 1, 2],
    ])
  })

  test('of two on one machine one runs executors: the leader, or the older', () => {
    const second = 'another supervisor runs executors there'
    expect(unfit(supervisor('s-0', 'alpha'))).toEqual({ 's-1': null, 's-0': second })
    expect(unfit(supervisor('s-3', 'beta'), supervisor('s-2', 'beta'))).toEqual({
      's-1': null,
      's-2': null,
      's-3': second,
    })
  })

  test('none for who ends, nor for who has another version of the job; another there may', () => {
    const other = supervisor('s-2', 'beta', { offer: offer({ code: 'two' }) })
    const ending = supervisor('s-3', 'beta', { state: 'draining' })
    expect(unfit(other, ending, supervisor('s-4', 'beta'))).toEqual({
      's-1': null,
      's-2': 'it has another version of the job',
      's-3': 'it is draining',
      's-4': null,
    })
  })

  test('together they have their cores, and of those that idle the whole ones of each', () => {
    const two = peers(supervisor('s-2', 'beta', { offer: offer({ cores: 2, idle: 0.6 }) }))
    expect(machineOf(two)).toEqual({ cores: 6, room: 4 })
    const unknown = peersOf({ actors: [] }, { ...own, offer: offer({ idle: null }) })
    expect(machineOf(unknown)).toEqual({ cores: 4, room: null })
  })

  test('the word is read as it was written; none is one of nobody', () => {
    const { leader, room, want, held } = wordOf({
      '': '',
      leader: 's-1',
      room: '4',
      'want:s-2': '3',
      'held:s-2': '1',
    })
    expect([leader, room, want.get('s-2'), held.get('s-2')]).toEqual(['s-1', 4, 3, 1])
    expect(wordOf({ '': '' })).toMatchObject({ leader: '', room: 0 })
  })

  test('what moves is told with what it was chosen by; a host that is gone with its name', () => {
    const actors = [
      supervisor('s-2', 'beta'),
      supervisor('s-3', 'gamma', { alive: false }),
    ] satisfies Snapshot['actors']
    const found = peersOf({ actors }, own)
    const word = wordOf({ leader: 's-1', 'want:s-1': '2', 'want:s-2': '0', 'want:s-3': '1' })
    const after = new Map([
      ['s-1', 1],
      ['s-2', 2],
    ])
    expect(changesText(found, word.want, after)).toBe(
      '1 fewer on alpha (3.8 of 4 cores idle, 8.0 GiB free), 2 more on beta (3.8 of 4 cores idle, 8.0 GiB free)',
    )
    expect(lostText(word, found, { actors } as Snapshot)).toBe('gamma is gone with 1 executor')
  })

  test('a host that ended in order is not lost, and no news to who leads later', () => {
    const actors = [supervisor('s-3', 'gamma', { alive: false, state: 'stopped' })]
    const found = peersOf({ actors }, own)
    const by = (leader: string) =>
      lostText(wordOf({ leader, 'want:s-3': '2' }), found, { actors } as Snapshot)
    expect(by('s-1')).toBe('gamma has ended, which had 2 executors')
    expect(by('s-3')).toBe('')
  })
})

describe('a decision', () => {
  const decision: Decision = {
    at: 0,
    from: 2,
    to: 5,
    reason: 'backlog',
    sentence: '2 → 5 executors: much waits',
    inputs: {},
  }

  test('is cut to what the hosts take', () => {
    expect(fitted(decision, 5)).toBe(decision)
    expect(fitted(decision, 3)).toMatchObject({
      from: 2,
      to: 3,
      reason: 'hosts',
      sentence: '2 → 3 executors: 5 wanted, and the hosts take 3',
    })
  })

  test('tells what it moves where; without a change of its own the move is what is decided', () => {
    expect(withMoves(decision, '')).toEqual({ decision, moved: false })
    expect(withMoves(decision, '3 more on beta')).toMatchObject({
      decision: { reason: 'backlog', sentence: '2 → 5 executors: much waits; 3 more on beta' },
      moved: false,
    })
    expect(withMoves({ ...decision, to: 2 }, 'beta is gone')).toMatchObject({
      decision: { reason: 'hosts', sentence: '2 executors stay: beta is gone' },
      moved: true,
    })
  })
})
