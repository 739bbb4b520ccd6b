/** What the flags of `bun run simulate` ask for. */
import { readConfig, resultDelayRange } from '../actors/config.ts'
import { UsageError } from '../actors/errors.ts'
import { durationFlag, numberFlag, wholeNumberFlag } from '../actors/flags.ts'
import { type Terms, type Way, ways } from './contest.ts'
import { ownScenario } from './own.ts'
import type { Source } from './replay.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'

/** What a record costs with --rate, as in the demonstration. */
export const COST_MS = 70

export type Values = {
  [Name in
    | 'policy'
    | 'max-result-delay'
    | 'min'
    | 'max'
    | 'rate'
    | 'cost'
    | 'seed'
    | 'price'
    | 'record'
    | 'replay-file']?: string | undefined
} & { [Name in 'timeline' | 'json' | 'list' | 'replay']?: boolean | undefined }

/** Terms of the contest; a recording brings the limits that held in it. */
export function termsOf(values: Values, usual: { min: number; max: number }): Terms {
  const max = wholeNumberFlag('max', values.max, { from: 1, to: 64 })
  const min = wholeNumberFlag('min', values.min, { from: 0, to: 64 })
  const limits = {
    min: min ?? Math.min(usual.min, max ?? Infinity),
    max: max ?? Math.max(usual.max, min ?? 0, 1),
  }
  if (limits.min > limits.max) throw new UsageError('--min must not be greater than --max')
  const delay = durationFlag('max-result-delay', values['max-result-delay'], resultDelayRange)
  return {
    ...limits,
    maxResultDelayMs: delay ?? 2_000,
    seed: wholeNumberFlag('seed', values.seed, { from: 0, to: 2 ** 32 - 1 }) ?? 1,
    pricePerHour:
      numberFlag('price', values.price, { from: 0, to: 1e6 }) ??
      readConfig().MILLRACE_PRICE_PER_EXECUTOR_HOUR,
  }
}

/** The scenarios that are named, all without a name, or a load of one's own. */
export function scenariosOf(values: Values, names: readonly string[]): Scenario[] {
  const costMs = numberFlag('cost', values.cost, { from: 0.0001, to: 3_600_000 })
  if (values.rate !== undefined) {
    if (names.length > 0) throw new UsageError('--rate is a load of its own, without scenarios')
    return [ownScenario(values.rate, costMs ?? COST_MS)]
  }
  const unknown = names.find((name) => !scenarios.some((one) => one.name === name))
  if (unknown !== undefined) {
    throw new UsageError(`no scenario ${JSON.stringify(unknown)}; see --list`)
  }
  return scenarios
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .map((one) => (costMs === undefined ? one : { ...one, cost: { ...one.cost, ms: costMs } }))
}

export function waysAsked(text: string | undefined): Way[] {
  if (text === undefined) return [...ways]
  return text.split(',').map((name) => {
    const way = ways.find((one) => one === name.trim())
    if (way) return way
    throw new UsageError(`--policy must be of ${ways.join(', ')}, not ${JSON.stringify(name)}`)
  })
}

/** Where a recording is to come from; null where none is asked for. */
export function sourceOf(
  values: Values,
  names: readonly string[],
  shippedJob: string,
): Source | null {
  const { replay, record, 'replay-file': file } = values
  const asked = [replay, record, file].filter((value) => value !== undefined)
  if (asked.length === 0) return null
  if (asked.length > 1) {
    throw new UsageError('--replay, --record and --replay-file exclude each other')
  }
  if (values.rate !== undefined || values.cost !== undefined) {
    throw new UsageError('a recording has its own load: --rate and --cost do not go with it')
  }
  const most = file === undefined ? 1 : 0
  if (names.length > most) {
    throw new UsageError(`unexpected argument ${JSON.stringify(names[most])}; see --help`)
  }
  if (file !== undefined) return { from: 'file', file }
  return { from: 'redis', file: names[0] ?? shippedJob }
}
