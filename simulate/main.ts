/** `bun run simulate`: plays loads in virtual time, and compares how they can be scaled. */
import { readConfig } from '../actors/config.ts'
import { runMain, UsageError } from '../actors/errors.ts'
import { numberFlag, parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { contest, type Result, type Terms, type Way, ways, waysOf } from './contest.ts'
import { durationFlag, ownScenario } from './flags.ts'
import { listOf, notesOf, tableOf } from './report.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'
import { Timeline } from './timeline.ts'

const COST_MS = 70

const command = {
  help: `
Usage: bun run simulate [scenario...] [options]

Plays loads in virtual time, a day in seconds, through the supervisor's own decisions, and compares
the policies: executor time, what was saved against a fleet that never scales, and how long records
waited for their result. Neither Kafka nor Redis is needed. Without a name all scenarios are played.

  --policy LIST          ways to scale, separated by commas: ${ways.join(', ')}
                         (all of them). fixed never scales; plan is the scenario's own, set by somebody
                         who knew the load beforehand, where it has one; optimum is the least that any
                         fleet could have used (a bound, not a play)
  --max-result-delay D   how long a record may wait for its result (2s)
  --min N, --max N       executors at the least (0) and at the most (4)
  --rate LIST            a load of your own: records a second and for how long, 10:30s,40:30s,0:45s
  --cost MS              what a record costs (${COST_MS} with --rate; the scenario's own)
  --seed N               of what comes by chance (1)
  --price P              money per executor-hour (MILLRACE_PRICE_PER_EXECUTOR_HOUR, 0.05)
  --timeline             load, backlog and executors over time, and each decision with its sentence
  --json                 results as JSON
  --list                 the scenarios
  --help                 this text
`,
  options: {
    policy: { type: 'string' },
    'max-result-delay': { type: 'string' },
    min: { type: 'string' },
    max: { type: 'string' },
    rate: { type: 'string' },
    cost: { type: 'string' },
    seed: { type: 'string' },
    price: { type: 'string' },
    timeline: { type: 'boolean' },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
  },
} as const

interface Asked {
  scenarios: Scenario[]
  ways: Way[]
  terms: Terms
  timeline: boolean
  json: boolean
}

async function main(): Promise<number> {
  const positionals = scenarios.map(({ name }) => name)
  const given = parseFlags({ ...command, positionals })
  if (given.values.list) {
    print(listOf(scenarios))
    return 0
  }
  const asked = askedOf(given.values, given.positionals)
  const results = asked.scenarios.flatMap((scenario) => playAll(scenario, asked))
  if (asked.json) print(JSON.stringify({ terms: asked.terms, results }, null, 2))
  else for (const text of [tableOf(results), ...notesOf(results)]) print(text)
  return 0
}

function playAll(scenario: Scenario, { ways, terms, timeline, json }: Asked): Result[] {
  return waysOf(scenario, ways).map((way) => {
    if (!timeline || json || way === 'optimum') return contest(scenario, way, terms)
    const lines = new Timeline(scenario.seconds)
    const result = contest(scenario, way, terms, (look) => lines.add(look))
    print(`${scenario.name}, ${way}: ${scenario.about}\n${lines.text()}\n`)
    return result
  })
}

type Values = {
  [Name in 'policy' | 'max-result-delay' | 'min' | 'max' | 'rate' | 'cost' | 'seed' | 'price']?:
    | string
    | undefined
} & { [Name in 'timeline' | 'json']?: boolean | undefined }

function askedOf(values: Values, names: readonly string[]): Asked {
  const costMs = numberFlag('cost', values.cost, { from: 0.0001, to: 3_600_000 })
  return {
    scenarios: scenariosOf(names, values.rate, costMs),
    ways: waysAsked(values.policy),
    terms: termsOf(values),
    timeline: values.timeline ?? false,
    json: values.json ?? false,
  }
}

function termsOf(values: Values): Terms {
  const max = wholeNumberFlag('max', values.max, { from: 1, to: 64 }) ?? 4
  const min = wholeNumberFlag('min', values.min, { from: 0, to: 64 }) ?? 0
  if (min > max) throw new UsageError('--min must not be greater than --max')
  const delay = values['max-result-delay']
  const delayRange = { fromMs: 100, toMs: 3_600_000 }
  return {
    min,
    max,
    maxResultDelayMs: durationFlag('max-result-delay', delay, delayRange) ?? 2_000,
    seed: wholeNumberFlag('seed', values.seed, { from: 0, to: 2 ** 32 - 1 }) ?? 1,
    pricePerHour:
      numberFlag('price', values.price, { from: 0, to: 1e6 }) ??
      readConfig().MILLRACE_PRICE_PER_EXECUTOR_HOUR,
  }
}

function scenariosOf(
  names: readonly string[],
  rate: string | undefined,
  costMs: number | undefined,
): Scenario[] {
  if (rate !== undefined) {
    if (names.length > 0) throw new UsageError('--rate is a load of its own, without scenarios')
    return [ownScenario(rate, costMs ?? COST_MS)]
  }
  const unknown = names.find((name) => !scenarios.some((one) => one.name === name))
  if (unknown !== undefined) {
    throw new UsageError(`no scenario ${JSON.stringify(unknown)}; see --list`)
  }
  return scenarios
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .map((one) => (costMs === undefined ? one : { ...one, cost: { ...one.cost, ms: costMs } }))
}

function waysAsked(text: string | undefined): Way[] {
  if (text === undefined) return [...ways] as Way[]
  return text.split(',').map((name) => {
    const way = ways.find((one) => one === name.trim())
    if (way) return way as Way
    throw new UsageError(`--policy must be of ${ways.join(', ')}, not ${JSON.stringify(name)}`)
  })
}

const print = (text: string) => void process.stdout.write(`${text}\n`)

await runMain('simulate', main)
