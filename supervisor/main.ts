/** `bun run supervisor`: the whole pipeline of one job: bridge, executors, sinks, web. */
import { join } from 'node:path'
import { checkBinding } from '../actors/binding.ts'
import { systemClock } from '../actors/clock.ts'
import { codeOf } from '../actors/code.ts'
import { type Config, executorsRange, readConfig, redisAddress } from '../actors/config.ts'
import { messageOf, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { systemHost } from '../actors/host.ts'
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
import { fromText } from '../actors/bridge/from.ts'
import { bunCommand, spawner } from './child.ts'
import { Compiled } from './compiled.ts'
import { Console } from './console.ts'
import { openCluster, readAccount } from './kubernetes/api.ts'
import { labels } from './kubernetes/pod.ts'
import { Pods } from './kubernetes/pods.ts'
import { childOutput } from './output.ts'
import { Processor } from './processor.ts'
import { mailboxBlockMs, Pulse } from './pulse.ts'
import type { Machine } from './places.ts'
import { begin, runSupervisor } from './run.ts'
import { Servers } from './servers.ts'
import { command, type Settings, settingsOf } from './settings.ts'
import { castShadow, shadowText } from './shadow.ts'
import { Supervisor } from './supervisor.ts'
import { tenancyOf } from './place.ts'

/** Redis has this long to answer before a shadow's start says that it doesn't. */
const SHADOW_MS = 5_000

const root = join(import.meta.dir, '..')
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
  const agreeing = async () => {
    await servers.check()
    return agreedKeys(store, declared, config.REDIS_SHARDS)
  }
  const keys = await whenReady(store, agreeing).catch((error) => {
    throw servers.explain(error)
  })
  // Children need not ask, and all of them go by the same.
  process.env.REDIS_SHARDS = String(keys.shards.length)
  let leading: Supervisor | null = null
  const life = new Lifecycle({
    kind: 'supervisor',
    store,
    keys,
    clock,
    log,
    // Undefined before there is one to ask.
    account: () => ({ offer: leading?.offer }),
  })
  let lineage: Lineage | null = null
  const check = async () => {
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
  if (code)
    Object.assign(process.env, { MILLRACE_CODE: code.hash, MILLRACE_CODE_FILES: code.files })
  const terminal = new Console(store, keys, job, (text) => void process.stdout.write(text))
  const processor = new Processor(systemClock)
  const compiled = new Compiled(root)
  const processes = spawner({
    command: (kind, id, warm) => {
      // --fresh is said of a ledger that was lost before this start, not of one that is lost later.
      const begun = supervisor.ledgerKnown
      const fresh = settings.fresh && !begun
      return commandOf(compiled, kind, id, file, { ...settings, fresh, begun, waits: warm })
    },
    output: childOutput(logFormat().human, level),
    clock,
    supervisor: life.id,
    // Children's lines come through a pipe, and are told in our format.
    environment: { ...process.env, LOG_LEVEL: level, LOG_FORMAT: 'json' },
  })
  const supervisor = new Supervisor({
    ...machineOf(settings, processor),
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
    code: code?.hash ?? null,
    onReplaced: (by) => life.drain(`version ${by} takes its place`),
    onDecision: (decision) => {
      // On a terminal the log line is right there already.
      if (!settings.quiet && !process.stderr.isTTY) terminal.decision(decision)
    },
  })
  leading = supervisor
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
function machineOf({ fleet, here, standby }: Settings, processor: Processor) {
  if (fleet !== 'processes') return { cores: executorsRange.to }
  const machine: Machine = {
    name: systemHost.name,
    cores: systemHost.cores,
    limit: here,
    standby,
    idle: () => processor.room(),
    memoryFreeBytes: () => process.availableMemory(),
  }
  return { machine }
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
  compiled: Compiled,
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
