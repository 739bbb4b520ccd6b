/** `bun run supervisor`: the whole pipeline of one job: bridge, executors, sinks, web. */
import { join } from 'node:path'
import { checkBinding } from '../actors/binding.ts'
import { systemClock } from '../actors/clock.ts'
import { codeOf } from '../actors/code.ts'
import {
  type Config,
  executorsRange,
  readConfig,
  redisAddress,
  resultDelayRange,
  warmRange,
} from '../actors/config.ts'
import { messageOf, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import {
  choiceFlag,
  choicesFlag,
  durationFlag,
  parseFlags,
  wholeNumberFlag,
} from '../actors/flags.ts'
import { keysOf } from '../actors/keys.ts'
import { Lifecycle } from '../actors/lifecycle.ts'
import { type Lineage, readLineage, replacedBy, withSinks } from '../actors/lineage.ts'
import { declaredSinks, loadJob, SHIPPED_JOB } from '../actors/load.ts'
import { createLog, type Log, logFormat } from '../actors/log.ts'
import type { Actor } from '../actors/messages.ts'
import { isOutage, openStore, untilReady, whenReady } from '../actors/redis.ts'
import { agreedKeys, refuseDivided } from '../actors/shards.ts'
import { checkSinks } from '../actors/sinks/sink.ts'
import type { Finding } from '../doctor/finding.ts'
import { acceptChange, agreedShape, agreedTopics } from '../actors/agree.ts'
import { FROM_FORMS, type From, fromFlag, fromText } from '../actors/bridge/from.ts'
import { bunCommand, spawner } from './child.ts'
import { Compiled } from './compiled.ts'
import { Console } from './console.ts'
import type { InitialLimits, Setting } from './control.ts'
import { openCluster, readAccount } from './kubernetes/api.ts'
import { labels } from './kubernetes/pod.ts'
import { Pods } from './kubernetes/pods.ts'
import { type FleetKind, fleets, type Relative, relatives } from './options.ts'
import { childOutput } from './output.ts'
import { Processor } from './processor.ts'
import { mailboxBlockMs, Pulse } from './pulse.ts'
import type { InitialQuotas } from './quotas.ts'
import { policies } from './reasons.ts'
import { begin, runSupervisor } from './run.ts'
import { Servers } from './servers.ts'
import { castShadow, shadowText } from './shadow.ts'
import { Supervisor } from './supervisor.ts'
import { type QuotaFlags, quotasOf, tenancyOf } from './place.ts'

const command = {
  help: `
Usage: bun run supervisor [jobs/file.ts] [options]

Runs a job (jobs/students.ts by default): the bridge, as many executors as the backlog needs, the
sinks that it declares, and the web page. A second one stands by and takes over.

  --min N                  executors at the least (EXECUTORS_MIN, 0)
  --max N                  executors at the most (EXECUTORS_MAX, 4)
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
EXECUTORS_MAX, EXECUTORS_WARM, EXECUTOR_MEMORY_MAX_MIB, MAX_RESULT_DELAY, QUOTA_RECORDS_PER_SECOND,
QUOTA_MEMORY_MIB, START_FROM, MILLRACE_TOKEN, MILLRACE_FLEET, MILLRACE_POD_TEMPLATE, MILLRACE_PAGE_URL,
MILLRACE_PRICE_PER_EXECUTOR_HOUR, MILLRACE_EXECUTORS_TOTAL (executors of all jobs on this Redis together),
MILLRACE_EXECUTORS_WEIGHT, REDIS_SHARDS (of a job that begins: how many slots of Redis it is divided over, 1),
LOG_LEVEL, LOG_FORMAT`,
  options: {
    min: { type: 'string' },
    max: { type: 'string' },
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

interface Settings {
  limits: InitialLimits
  quotas: InitialQuotas
  warm: number
  from: From
  port: number
  without: ReadonlySet<Relative>
  fleet: FleetKind
  quiet: boolean
  acceptLoss: boolean
  fresh: boolean
}

/** Redis has this long to answer before a shadow's start says that it doesn't. */
const SHADOW_MS = 5_000

const root = join(import.meta.dir, '..')
const compiled = new Compiled(root)
const signals = ['SIGINT', 'SIGTERM'] as const
const leave = () => process.exit(0)

await runMain('supervisor', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: ['jobs/file.ts'] })
  const config = readConfig()
  const settings = settingsOf(values, config)
  const file = positionals[0] ?? SHIPPED_JOB
  // By the environment, which all children have.
  if (values.as !== undefined) process.env.MILLRACE_AS = values.as
  const web = !settings.without.has('web')
  if (web) checkBinding(config.HOST, config.MILLRACE_TOKEN)
  if (values.shadow) await beginShadow(config, file, values.from !== undefined, settings)
  const declared = await loadJob(file)
  const sinks = await declaredSinks(file)
  checkSinks(values.shadow ? { ...declared, ...sinks } : declared, process.env)
  const level = settings.quiet ? 'warn' : config.LOG_LEVEL
  const log = createLog('supervisor', level)
  const clock = systemClock
  const store = openStore(config, log)
  const pods = settings.fleet === 'kubernetes' ? openPods(config, log) : null
  const pulse = new Pulse(clock)
  const servers = new Servers({
    store,
    config,
    clock,
    log,
    onComplaint: (complaint) => {
      life.explain(complaint)
      pulse.wake()
    },
    examine: () => examineAll(config, file, settings),
  })
  // A signal meanwhile simply ends the process.
  for (const name of signals) process.on(name, leave)
  const agreeing = () => agreedKeys(store, declared, config.REDIS_SHARDS)
  const keys = await whenReady(store, agreeing).catch((error) => {
    throw servers.explain(error)
  })
  // Children need not ask, and all of them go by the same.
  process.env.REDIS_SHARDS = String(keys.shards.length)
  const life = new Lifecycle({ kind: 'supervisor', store, keys, clock, log })
  let lineage: Lineage | null = null
  const check = async () => {
    await servers.check()
    lineage = await readLineage(store, keys)
    const replaced = replacedBy(declared.name, lineage)
    if (replaced !== null) throw new RefusalError(replaced)
    if (values['accept-change']) await acceptChange(store, keys, declared)
    if (settings.fresh) return
    await agreedShape(store, keys, declared)
    await agreedTopics(store, keys, declared)
  }
  await begin({ store, life, clock, check }).catch((error) => {
    throw servers.explain(error)
  })
  for (const name of signals) process.off(name, leave)
  const job = withSinks(declared, sinks, lineage)
  checkSinks(job, process.env)
  if (job.sinks.length > 0) process.env.MILLRACE_SINKS = 'yes'
  const code = await codeOf(file)
  if (code !== null) process.env.MILLRACE_CODE = code
  const terminal = new Console(store, keys, job, (text) => void process.stdout.write(text))
  const processor = new Processor(systemClock)
  const processes = spawner({
    command: (kind, id, warm) => {
      // --fresh is said of a ledger that was lost before this start, not of one that is lost later.
      const begun = supervisor.ledgerKnown
      const fresh = settings.fresh && !begun
      return commandOf(kind, id, file, { ...settings, fresh, begun, waits: warm })
    },
    output: childOutput(logFormat().human, level),
    clock,
    // Children's lines come through a pipe, and are told in our format.
    environment: { ...process.env, LOG_LEVEL: level, LOG_FORMAT: 'json' },
  })
  const supervisor = new Supervisor({
    ...machineOf(settings.fleet, processor),
    id: life.id,
    job,
    keys,
    store,
    clock,
    log,
    pulse,
    spawn: (kind, warm = false) =>
      pods && kind === 'executor' ? pods.spawn(warm) : processes(kind, warm),
    foundlings: pods ?? undefined,
    scales: settings.fleet !== 'elsewhere',
    limits: settings.limits,
    warm: settings.warm,
    executorMemoryMaxBytes: config.EXECUTOR_MEMORY_MAX_MIB * 2 ** 20,
    pricePerHour: config.MILLRACE_PRICE_PER_EXECUTOR_HOUR,
    web,
    without: settings.without,
    tenancy: tenancyOf({ store, keys, clock }, job, config, { ...settings, web }),
    complaint: () => servers.complaint ?? pods?.trouble ?? null,
    code,
    onReplaced: (by) => life.drain(`version ${by} takes its place`),
    onDecision: (decision) => {
      // On a terminal the log line is right there already.
      if (!settings.quiet && !process.stderr.isTTY) terminal.decision(decision)
    },
  })
  onSecondSignal(() => supervisor.kill())
  // Where they are somebody else's there is nobody here to start the sooner.
  if (settings.fleet === 'processes' || !settings.without.has('bridge')) compiled.make(log)
  const mailboxes = keys.shards.map(() =>
    openStore(config, createLog('supervisor', 'error'), { blockMs: mailboxBlockMs }),
  )
  const looking = pods?.run()
  await runSupervisor({
    supervisor,
    life,
    mailboxes,
    keys,
    pulse,
    clock,
    beside: async (ended) => {
      await Promise.all([
        servers.run(ended),
        settings.quiet ? undefined : terminal.run(clock, ended),
      ])
    },
  })
  await compiled.end()
  pods?.close()
  await looking
  return 0
})

/** What this start is a shadow of is settled before anything else, as its name goes by it. */
async function beginShadow(
  config: Config,
  file: string,
  fromGiven: boolean,
  settings: Settings,
): Promise<void> {
  const job = await loadJob(file)
  refuseDivided(keysOf(job.name, config.REDIS_SHARDS), job.name, '--shadow')
  const log = createLog('supervisor', 'error')
  const store = openStore(config, log)
  try {
    await untilReady(store, AbortSignal.timeout(SHADOW_MS))
    const shadow = await castShadow(store, job, systemClock, {
      from: fromGiven ? settings.from : null,
    })
    process.env.MILLRACE_AS = shadow.name
    settings.from = shadow.from
    const { sinks } = await declaredSinks(file)
    process.stderr.write(
      `${shadowText(
        shadow,
        sinks.map(({ name }) => name),
      )}\n`,
    )
  } catch (error) {
    if (!isOutage(error)) throw error
    const why = `Redis at ${redisAddress(config)} does not answer (${messageOf(error)})`
    throw new RefusalError(why, { cause: error })
  } finally {
    await store.close()
  }
}

/** In a pod only; what it is given is checked here, so that a mistake ends the start. */
function openPods(config: Config, log: Log): Pods {
  const name = config.MILLRACE_POD_TEMPLATE
  if (!name) throw new UsageError('--fleet kubernetes needs MILLRACE_POD_TEMPLATE')
  const cluster = openCluster(readAccount(process.env), name, labels.template)
  return new Pods({ cluster, clock: systemClock, log })
}

/** Executors elsewhere take nothing from this machine; how many find room there, others know. */
function machineOf(fleet: FleetKind, processor: Processor) {
  return fleet === 'processes' ? { room: () => processor.room() } : { cores: executorsRange.to }
}

type Texts =
  | 'min'
  | 'max'
  | 'warm'
  | 'from'
  | 'policy'
  | 'max-result-delay'
  | 'port'
  | 'without'
  | 'fleet'

function settingsOf(
  values: {
    [Name in Texts]?: string | undefined
  } & QuotaFlags & {
      [Name in 'accept-loss' | 'fresh' | 'no-web' | 'quiet' | 'shadow']?: boolean | undefined
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

/** Loaded late: it brings a Kafka client along, which the supervisor needs for nothing else. */
async function examineAll(config: Config, file: string, settings: Settings): Promise<Finding[]> {
  const { examine } = await import('../doctor/examine.ts')
  const { acceptLoss, fresh, without, limits } = settings
  const host = without.has('web') ? null : config.HOST
  return examine({ config, file, executorsMax: limits.max, host, acceptLoss, fresh })
}

/** How each kind of actor is started; what is secret is in the environment. */
function commandOf(
  kind: Actor['kind'],
  id: string,
  file: string,
  settings: Settings & { begun: boolean; waits: boolean },
): string[] {
  const script = (path: string, args: string[]) => bunCommand(path, [file, '--id', id, ...args])
  switch (kind) {
    case 'executor':
      return script(compiled.script('executor'), settings.waits ? ['--warm'] : [])
    case 'bridge': {
      const loss = settings.acceptLoss ? ['--accept-loss'] : []
      const fresh = settings.fresh ? ['--fresh'] : []
      const begun = settings.begun ? ['--begun'] : []
      const flags = ['--from', fromText(settings.from), ...loss, ...fresh, ...begun]
      return script(compiled.script('bridge'), flags)
    }
    case 'sinks':
      return script(join(root, 'actors/sinks/main.ts'), [])
    case 'web':
      return script(join(root, 'web/main.ts'), ['--port', String(settings.port)])
    case 'supervisor':
      throw new Error('a supervisor starts no supervisor')
    default:
      return kind satisfies never
  }
}

/**
 * The first signal drains (Lifecycle listens to it); a later one kills what is left. One Ctrl-C can
 * come twice at once: from the terminal and, passed on, from `bun run`.
 */
function onSecondSignal(kill: () => void): void {
  let firstAt = Infinity
  for (const name of signals) {
    process.on(name, () => {
      const now = systemClock.elapsed()
      firstAt = Math.min(firstAt, now)
      if (now - firstAt < 500) return
      kill()
      process.exit(130)
    })
  }
}
