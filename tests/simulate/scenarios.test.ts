import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { quantile, settingOf } from '../../simulate/contest.ts'
import { phases } from '../../simulate/load.ts'
import { optimumOf } from '../../simulate/optimum.ts'
import type { Scenario, Span } from '../../simulate/scenario.ts'
import { scenarios } from '../../simulate/scenarios.ts'
import type { Played } from '../../simulate/world.ts'
import { flapping, type Watched, watch } from './promises.ts'

/** A day takes seconds, and more on a busy machine. */
setDefaultTimeout(120_000)

const A_DAY_SECONDS = 86_400

const terms = { min: 0, max: 4, maxResultDelayMs: 2_000, seed: 1, pricePerHour: 1 }

const named = (name: string): Scenario => scenarios.find((one) => one.name === name)!

/** Each is played once in each way, by whichever test comes first. */
const cache = new Map<string, Watched>()

function played(scenario: Scenario, way: 'backlog' | 'fixed' | 'plan'): Watched {
  const key = `${scenario.name} ${way}`
  const held = cache.get(key) ?? watch(scenario, settingOf(scenario, way, terms))
  cache.set(key, held)
  return held
}

const backlogOf = (scenario: Scenario) => played(scenario, 'backlog')

const longestStart = ({ startMs }: Scenario) => (typeof startMs === 'number' ? startMs : startMs[1])
const longestBlind = ({ blind = [] }: Scenario) =>
  Math.max(0, ...blind.map(([from, to]: Span) => (to - from) * 1_000))
const worst = ({ delays }: Played) => quantile(delays, 1) ?? 0

for (const scenario of scenarios) {
  describe(`${scenario.name}, scaled by its backlog`, () => {
    test('the count stays within min and max', () => {
      expect(backlogOf(scenario).outside).toEqual([])
    })

    test('nothing is left unserved', () => {
      expect(backlogOf(scenario).unserved).toEqual([])
    })

    test('what is unknown holds', () => {
      expect(backlogOf(scenario).moved).toEqual([])
    })

    test('it turns back at most once within a cooldown', () => {
      expect(flapping(backlogOf(scenario))).toEqual([])
    })

    test('no record waits longer than in the whole fleet, the allowed delay and one start', () => {
      const { lagMs = 0, seconds } = scenario
      // In a day the whole fleet never keeps anything waiting, and it takes long to play.
      const whole = seconds > A_DAY_SECONDS / 2 ? 0 : worst(played(scenario, 'fixed'))
      const allowed =
        whole + terms.maxResultDelayMs + longestStart(scenario) + longestBlind(scenario) + lagMs
      expect(worst(backlogOf(scenario))).toBeLessThanOrEqual(allowed)
    })

    test('the optimum lies between the work and the whole fleet', () => {
      const { executorMs, workMs } = optimumOf(scenario, terms)
      // What arrives in the last seconds may be done after the end, where nothing is counted.
      const tailMs = terms.maxResultDelayMs * terms.max
      expect(executorMs).toBeLessThanOrEqual(terms.max * scenario.seconds * 1_000)
      expect(executorMs).toBeGreaterThanOrEqual(workMs - tailMs - 1_000)
    })
  })
}

/** Nothing but the policy keeps records waiting: quick starts, true measurements, enough executors. */
const easy = ['demo', 'day', 'day-real', 'sawtooth', 'trickle', 'silence', 'heavy-tail']

describe('where the fleet suffices and starts quickly', () => {
  for (const name of easy) {
    test(`${name}: 99 of 100 results come within the allowed delay`, () => {
      expect(quantile(backlogOf(named(name)).delays, 0.99)).toBeLessThanOrEqual(
        terms.maxResultDelayMs,
      )
    })
  }
})

describe('the published day', () => {
  test('its own setting, switched in hindsight, saves 62.5 %', () => {
    const day = named('day')
    const { account, delays } = played(day, 'plan')
    expect(1 - account.usedMs / account.staticMs).toBeCloseTo(0.625, 4)
    expect(account.staticMs).toBeCloseTo(96 * 3_600_000, 0)
    expect(delays.length).toBe(20 * 3_600 * 10 + 4 * 3_600 * 40)
  })

  test('scaled by its backlog it saves more, and 99 of 100 results come as soon', () => {
    const day = named('day')
    const published = played(day, 'plan')
    const { account, delays } = backlogOf(day)
    expect(quantile(delays, 0.99)).toBeLessThanOrEqual(quantile(published.delays, 0.99)!)
    expect(1 - account.usedMs / account.staticMs).toBeGreaterThan(0.625)
  })
})

/** Loads in phases, with all that may go wrong. */
const worlds = fc.record({
  phases: fc.array(
    fc.tuple(
      fc.constantFrom(0, 0, 0.2, 5, 10, 14, 20, 40, 55, 150),
      fc.integer({ min: 1, max: 40 }),
    ),
    { minLength: 1, maxLength: 5 },
  ),
  poisson: fc.boolean(),
  cost: fc.constantFrom(
    { kind: 'constant', ms: 70 } as const,
    { kind: 'constant', ms: 2 } as const,
    { kind: 'pareto', ms: 70, shape: 1.5, mostMs: 5_000 } as const,
  ),
  startMs: fc.constantFrom(100, 400, 5_000),
  min: fc.integer({ min: 0, max: 2 }),
  max: fc.integer({ min: 2, max: 6 }),
  blindFrom: fc.integer({ min: 0, max: 60 }),
  blindSeconds: fc.constantFrom(0, 0, 3, 15),
  crashFrom: fc.integer({ min: 0, max: 60 }),
  crashSeconds: fc.constantFrom(0, 0, 5),
  lagMs: fc.constantFrom(0, 0, 1_000),
  seed: fc.nat(10_000),
})
type Drawn = typeof worlds extends fc.Arbitrary<infer T> ? T : never

const span = (from: number, seconds: number): Span => [from, from + seconds]

function worldOf(drawn: Drawn): Scenario {
  const lasting = drawn.phases.reduce((sum, [, seconds]) => sum + seconds, 0)
  return {
    name: 'drawn',
    title: 'drawn',
    about: 'drawn',
    seconds: lasting + 30,
    load: { ...phases(...drawn.phases), poisson: drawn.poisson },
    cost: drawn.cost,
    startMs: drawn.startMs,
    blind: [span(drawn.blindFrom, drawn.blindSeconds)],
    crashes: [{ span: span(drawn.crashFrom, drawn.crashSeconds), afterMs: 500 }],
    lagMs: drawn.lagMs,
  }
}

const property = (name: string, holds: (watched: Watched, drawn: Drawn) => void) =>
  test(name, () => {
    fc.assert(
      fc.property(worlds, (drawn) => {
        const { min, max, seed } = drawn
        const setting = { policy: 'backlog', min, max, maxResultDelayMs: 2_000, seed } as const
        holds(watch(worldOf(drawn), setting), drawn)
      }),
      { numRuns: 60 },
    )
  })

describe('in any world, scaled by its backlog', () => {
  property('within limits, nothing unserved', ({ outside, unserved }, { min }) => {
    // The first look is before anybody could have started the least.
    expect(outside.filter((told) => min === 0 || !told.startsWith('0 s'))).toEqual([])
    expect(unserved).toEqual([])
  })

  property('what is unknown holds, but for the least', ({ moved }) => {
    expect(moved.filter((told) => !told.includes('the minimum is'))).toEqual([])
  })

  property('it turns back at most once within a cooldown', (watched) => {
    expect(flapping(watched)).toEqual([])
  })

  property(
    'nobody is paid for more than the whole fleet, no record is done before it is',
    (watched, drawn) => {
      const { account, delays } = watched
      expect(account.staticMs).toBeCloseTo(drawn.max * account.elapsedMs, 3)
      // Those that drain and those that were started in their place live side by side for a moment.
      expect(account.usedMs).toBeLessThanOrEqual(1.05 * account.staticMs)
      const least = drawn.cost.kind === 'constant' ? drawn.cost.ms : 0
      if (delays.length > 0) expect(delays[0]).toBeGreaterThanOrEqual(least - 1e-6)
    },
  )
})
