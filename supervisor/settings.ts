/** The supervisor's flags: what may be given, and what it comes to with the environment. */
import { FROM_FORMS, type From, fromFlag } from '../actors/bridge/from.ts'
import { type Config, executorsRange, resultDelayRange, warmRange } from '../actors/config.ts'
import { UsageError } from '../actors/errors.ts'
import { choiceFlag, choicesFlag, durationFlag, wholeNumberFlag } from '../actors/flags.ts'
import type { InitialLimits, Setting } from './control.ts'
import { type FleetKind, fleets, type Relative, relatives } from './options.ts'
import { type QuotaFlags, quotasOf } from './place.ts'
import type { InitialQuotas } from './quotas.ts'
import { policies } from './reasons.ts'

export const command = {
  help: `
Usage: bun run supervisor [jobs/file.ts] [options]

Runs a job (jobs/students.ts by default): the bridge, as many executors as the backlog needs, the
sinks that it declares, and the web page. Of several, on machines of their own, one leads and all run
executors; another takes over where it is gone. Of two on one machine the second stands by.

  --min N                  executors at the least (EXECUTORS_MIN, 0)
  --max N                  executors at the most (EXECUTORS_MAX, 4)
  --here N                 executors on this machine at the most (EXECUTORS_HERE, as many as the job may
                           have); the leader gives each machine its number, by cores and memory that are free
  --standby                no executors here while another leads: it only takes over
  --warm N                 executor processes that wait beside them, loaded and connected, so that
                           one that is needed begins at once (EXECUTORS_WARM, 0)
  --from WHERE             where to begin a topic that the job has not read before (START_FROM, latest):
                           ${FROM_FORMS}
  --as NAME                run the job as a version of that name, beside the one under its own
                           (MILLRACE_AS): bun run versions compare tells whether their windows agree
  --shadow                 run the changed file as a version beside the job that runs, by a name of its
                           own (rooms-2), from where that one's open windows begin (or --from), its
                           sinks held back: bun run versions compare shows whether they agree,
                           bun run versions cutover makes it the one. Its page: --port, or PORT + 1
  --accept-change          functions of groups and aggregates were rewritten and mean the same as before
  --accept-loss            go on past records that Kafka deleted before they were read
  --fresh                  begin anew where Redis has lost what the job had read; with --from
                           earliest from the first record that Kafka still has
  --policy NAME            how executors are scaled: backlog (as many as the work needs, the
                           default), spark (as Spark's dynamic allocation does), fixed (--max)
  --max-result-delay T     how old a result may be, such as 2s or 500ms: how soon executors are
                           added, and how many (MAX_RESULT_DELAY, 2s)
  --quota-records-per-second N  records that the job may read a second; more wait in Kafka
                           (QUOTA_RECORDS_PER_SECOND, 0 for no bound)
  --quota-memory-mib N     what the job may have of Redis's memory; over it the bridge waits
                           (QUOTA_MEMORY_MIB, 0 for no bound)
  --port N                 the web page's port (PORT, 8080)
  --no-web                 without the web page
  --without KINDS          without those that somebody else runs: some of bridge,sinks,web
  --fleet WHERE            where executors run (MILLRACE_FLEET): as processes here (the default), as
                           pods of this cluster (kubernetes; MILLRACE_POD_TEMPLATE names the template
                           that they are made from), or elsewhere, where another scales them by
                           what is decided here
  --quiet                  no tables and only warnings
  --help                   this text

Exit code: 0 when it was asked to end and has, 1 when it could not go on, 2 for a mistake in the command,
the environment or the job file, 130
when Ctrl-C was pressed twice. What it tells as JSON: LOG_FORMAT=json, and the API.

Environment: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*, REDIS_URL, HOST, PORT, EXECUTORS_MIN,
EXECUTORS_MAX, EXECUTORS_HERE, EXECUTORS_WARM, EXECUTOR_MEMORY_MAX_MIB, MAX_RESULT_DELAY,
QUOTA_RECORDS_PER_SECOND, QUOTA_MEMORY_MIB, MILLRACE_HOST (what this machine is called), START_FROM, MILLRACE_TOKEN, MILLRACE_FLEET, MILLRACE_POD_TEMPLATE, MILLRACE_PAGE_URL,
MILLRACE_PRICE_PER_EXECUTOR_HOUR, MILLRACE_EXECUTORS_TOTAL (executors of all jobs on this Redis together),
MILLRACE_EXECUTORS_WEIGHT, REDIS_SHARDS (of a job that begins: how many slots of Redis it is divided over, 1),
LOG_LEVEL, LOG_FORMAT`,
  options: {
    min: { type: 'string' },
    max: { type: 'string' },
    here: { type: 'string' },
    standby: { type: 'boolean' },
    warm: { type: 'string' },
    from: { type: 'string', choices: ['earliest', 'latest'] },
    as: { type: 'string' },
    shadow: { type: 'boolean' },
    'accept-loss': { type: 'boolean' },
    'accept-change': { type: 'boolean' },
    fresh: { type: 'boolean' },
    policy: { type: 'string', choices: policies },
    'max-result-delay': { type: 'string' },
    'quota-records-per-second': { type: 'string' },
    'quota-memory-mib': { type: 'string' },
    port: { type: 'string' },
    'no-web': { type: 'boolean' },
    without: { type: 'string' },
    fleet: { type: 'string', choices: fleets },
    quiet: { type: 'boolean' },
  },
} as const

export interface Settings {
  limits: InitialLimits
  quotas: InitialQuotas
  /** Executors that this machine takes, and whether only while we lead. */
  here: number
  standby: boolean
  warm: number
  from: From
  port: number
  without: ReadonlySet<Relative>
  fleet: FleetKind
  quiet: boolean
  acceptLoss: boolean
  fresh: boolean
}

type Text =
  | 'min'
  | 'max'
  | 'here'
  | 'warm'
  | 'from'
  | 'policy'
  | 'max-result-delay'
  | 'port'
  | 'without'
  | 'fleet'

/** @throws UsageError that names the flag */
export function settingsOf(
  values: {
    [Name in Text]?: string | undefined
  } & QuotaFlags & {
      [Name in 'accept-loss' | 'fresh' | 'no-web' | 'quiet' | 'shadow' | 'standby']?:
        | boolean
        | undefined
    },
  config: Config,
): Settings {
  const min = wholeNumberFlag('min', values.min, executorsRange)
  const max = wholeNumberFlag('max', values.max, executorsRange)
  const port = wholeNumberFlag('port', values.port, { from: 0, to: 65_535 })
  const policy = choiceFlag('policy', values.policy, policies)
  const delayMs = durationFlag('max-result-delay', values['max-result-delay'], resultDelayRange)
  const limits = {
    min: min ?? Math.min(config.EXECUTORS_MIN, max ?? Infinity),
    max: max ?? Math.max(config.EXECUTORS_MAX, min ?? 0),
    policy: policy ?? 'backlog',
    maxResultDelayMs: delayMs ?? config.MAX_RESULT_DELAY,
    given: new Set<Setting>(),
  }
  const without = choicesFlag('without', values.without, relatives) ?? []
  if (limits.min > limits.max) throw new UsageError('--min must not be greater than --max')
  if (min !== undefined) limits.given.add('min')
  if (max !== undefined) limits.given.add('max')
  if (policy !== undefined) limits.given.add('policy')
  if (delayMs !== undefined) limits.given.add('maxResultDelayMs')
  return {
    limits,
    quotas: quotasOf(values, config),
    here:
      wholeNumberFlag('here', values.here, executorsRange) ??
      config.EXECUTORS_HERE ??
      executorsRange.to,
    standby: values.standby ?? false,
    warm: wholeNumberFlag('warm', values.warm, warmRange) ?? config.EXECUTORS_WARM,
    from: fromFlag(values.from, config.START_FROM),
    // A shadow's page must not want the place of the one beside which it stands.
    port: port ?? (values.shadow ? Math.min(config.PORT + 1, 65_535) : config.PORT),
    without: new Set([...without, ...(values['no-web'] ? (['web'] as const) : [])]),
    fleet: choiceFlag('fleet', values.fleet, fleets) ?? config.MILLRACE_FLEET,
    quiet: values.quiet ?? false,
    acceptLoss: values['accept-loss'] ?? false,
    fresh: values.fresh ?? false,
  }
}
