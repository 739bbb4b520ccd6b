import { describe, expect, test } from 'bun:test'
import { Effects } from '../../supervisor/effects.ts'
import type { Decision } from '../../supervisor/reasons.ts'
import { executor, type Known, T0 } from './accounts.ts'

const decision = (from: number, to: number, at: number): Decision => ({
  at: T0 + at,
  from,
  to,
  reason: to > from ? 'backlog' : 'quiet',
  sentence: `${from} → ${to}`,
  inputs: {},
})

/** One that runs, and said so first at that moment. */
const running = (id: string, at = 0) => executor(id, { at: T0 + at })
const starting = (id: string) => executor(id, { state: 'starting' })

function create() {
  const effects = new Effects()
  const look = (at: number, members: Known[], living = members.length) =>
    effects.look(members, living, T0 + at)
  return { effects, look }
}

describe('from a decision to its effect', () => {
  test('out: when so many run, to the moment that they say themselves', () => {
    const { effects, look } = create()
    look(900, [running('a')])
    effects.decided(decision(1, 3, 1_000), 'd1')
    expect(look(1_250, [running('a'), starting('b'), starting('c')])).toEqual([])
    expect(look(1_500, [running('a'), running('b', 1_310), starting('c')])).toEqual([])
    expect(look(1_750, [running('a'), running('b', 1_310), running('c', 1_620)])).toEqual([
      { id: 'd1', direction: 'out', ms: 620 },
    ])
    expect(look(2_000, [running('a'), running('b'), running('c')])).toEqual([])
  })

  test('in: when no more live, those that drain included', () => {
    const { effects, look } = create()
    effects.decided(decision(3, 1, 0), 'd1')
    expect(look(250, [running('a')], 3)).toEqual([])
    expect(look(500, [running('a')], 2)).toEqual([])
    expect(look(700, [running('a')], 1)).toEqual([{ id: 'd1', direction: 'in', ms: 700 }])
  })

  test('steps in one direction take effect one by one, in their order', () => {
    const { effects, look } = create()
    effects.decided(decision(0, 1, 0), 'd1')
    effects.decided(decision(1, 2, 1_000), 'd2')
    look(1_100, [])
    expect(look(1_500, [running('a', 1_200), running('b', 1_400)])).toEqual([
      { id: 'd1', direction: 'out', ms: 1_200 },
      { id: 'd2', direction: 'out', ms: 400 },
    ])
  })

  test('what the opposite overtakes, changes nothing, or was another lead’s, is not told', () => {
    const { effects, look } = create()
    effects.decided(decision(0, 2, 0), 'd1')
    effects.decided(decision(2, 0, 100), 'd2')
    effects.decided(decision(0, 0, 150), 'd3')
    expect(look(200, [], 0)).toEqual([{ id: 'd2', direction: 'in', ms: 100 }])
    effects.decided(decision(0, 1, 300), 'd4')
    effects.forget()
    expect(look(400, [running('a', 350)])).toEqual([])
  })

  test('one that dies meanwhile does not count', () => {
    const { effects, look } = create()
    effects.decided(decision(0, 2, 0), 'd1')
    look(200, [running('a', 150), starting('b')])
    expect(look(400, [{ ...running('a', 150), alive: false }, running('b', 350)], 1)).toEqual([])
    expect(look(600, [running('b', 350), running('c', 550)])).toMatchObject([{ ms: 550 }])
  })

  test('another machine’s clock can’t move it out of the time between two looks', () => {
    for (const [said, ms] of [
      [-5_000, 200],
      [9_000, 400],
    ] as const) {
      const { effects, look } = create()
      effects.decided(decision(0, 1, 0), 'd1')
      look(200, [])
      expect(look(400, [running('a', said)])).toEqual([{ id: 'd1', direction: 'out', ms }])
    }
  })
})
