/**
 * A whole pipeline of real processes that something is done to: supervisors of one job, and what is
 * asked of them. Its life is with-pipeline.ts's.
 */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Subprocess } from 'bun'
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { type Keys, keysOf, shared } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import { measure, type Snapshot } from '../actors/measure.ts'
import type { Actor } from '../actors/messages.ts'
import { openStore, type Store } from '../actors/redis.ts'
import { keysLike } from '../actors/scan.ts'
import { freePort } from '../services/ports.ts'
import type { StatusReport } from '../supervisor/status.ts'
import type { Report } from '../verify/verify.ts'
import type { RejectReport } from '../web/schemas.ts'
import type { WindowReport } from '../web/window-schemas.ts'
import { Feed, type Sample } from './sample.ts'
import type { TestTopic, TopicOptions } from './topic.ts'
import { until, type UntilOptions } from './until.ts'

export interface PipelineOptions {
  /** Of the job in Redis; one by default. */
  shards?: number
  label: string
  /** The job's file. Its names are those of the topic where it takes them from the environment. */
  job: string
  /** Of a job that has names of its own; otherwise both are made up. */
  names?: { job: string; topic: string }
  topic?: Omit<TopicOptions, 'kafkaBrokers' | 'name'>
  services: Addresses
  /** Where we ourselves find them, when the pipeline is led through proxies. */
  direct?: Addresses
  /** Of the supervisors, beside the port. Default `--from earliest`. */
  args?: string[]
  /** Of the supervisors and their children, beside job, topic and services. */
  environment?: Record<string, string>
  /** Records of a user's own job. */
  sample?: Sample
  /** Ends the run: what is going on with the pipeline is left, and everything of it killed. */
  signal?: AbortSignal
  /** Takes what is known of a pipeline that failed; stderr by default. */
  onFailure?: (pipeline: Pipeline, lastWords: string) => void
}

/** Where Kafka and Redis are. */
export interface Addresses {
  kafkaBrokers: string
  redisUrl: string
  /** Both as the environment of a child process. */
  environment: { KAFKA_BROKERS: string; REDIS_URL: string }
}

/** How many times as much as `bun run check` does: MILLRACE_TEST_SCALE, 1 by default. */
export const scale = Number(process.env.MILLRACE_TEST_SCALE || 1)

const root = join(import.meta.dir, '..')
/** Longer than executors, bridge and web may take for their ends one after the other. */
const STOP_TIMEOUT_MS = 45_000

/** One supervisor process, and where its web page is once it leads. */
export interface SupervisorProcess {
  process: Subprocess
  url: string
}

export class Pipeline {
  readonly name: string
  readonly topic: TestTopic
  readonly keys: Keys
  readonly store: Store
  readonly logFile: string
  readonly supervisors: SupervisorProcess[] = []
  /** Records of a user's own job; null for the shipped one. */
  readonly feed: Feed | null
  #ended = false
  readonly #options: PipelineOptions
  readonly #environment: Record<string, string>
  readonly #direct: Record<string, string>
  readonly #dir: string

  constructor(options: PipelineOptions, topic: TestTopic) {
    this.#options = options
    this.name = options.names?.job ?? topic.name
    this.topic = topic
    this.keys = keysOf(this.name, options.shards)
    const direct = (options.direct ?? options.services).environment
    this.store = openStore(readConfig(direct), createLog('faults', 'error'))
    const shared = {
      ...withoutSettings(process.env),
      MILLRACE_TEST_JOB: this.name,
      MILLRACE_TEST_TOPIC: topic.name,
      ...(options.shards !== undefined && { REDIS_SHARDS: String(options.shards) }),
    }
    this.#environment = { ...shared, ...options.services.environment }
    this.#direct = { ...shared, ...direct }
    this.feed = options.sample ? new Feed(options.sample) : null
    this.#dir = mkdtempSync(join(tmpdir(), `millrace-test-`))
    this.logFile = join(this.#dir, 'log.txt')
    writeFileSync(this.logFile, '')
  }

  /** The page of the supervisor that was started last. */
  get url(): string {
    return this.supervisors.at(-1)!.url
  }

  /** Where the pipeline itself finds Redis. */
  get redisUrl(): string {
    return this.#options.services.redisUrl
  }

  get jobFile(): string {
    return resolve(this.#options.job)
  }

  /** Under which Kafka's own tools see the job. */
  get groupId(): string {
    return `millrace-${this.name}`
  }

  /** Starts a supervisor, of another copy of the project where one is given; resolves at once. */
  async start(
    args: string[] = this.#options.args ?? ['--from', 'earliest'],
    copy = root,
    extra: Record<string, string> = {},
  ) {
    const port = await freePort()
    const flags = ['--port', String(port), ...args]
    const command = [join(copy, 'supervisor/main.ts'), this.jobFile, ...flags]
    const child = this.spawn(command, extra)
    const supervisor = { process: child, url: `http://127.0.0.1:${port}` }
    this.supervisors.push(supervisor)
    return supervisor
  }

  /** Starts a supervisor, and waits until its page says that it is at work. */
  async begin(args?: string[]): Promise<SupervisorProcess> {
    const supervisor = await this.start(args)
    await until('the pipeline to be ready', () => this.isReady(), { timeoutMs: 30_000 })
    return supervisor
  }

  /** A process of the project with the pipeline's environment; its output goes to the log. */
  spawn(command: string[], extra: Record<string, string> = {}): Subprocess {
    return this.#spawn(command, { ...this.#environment, ...this.#options.environment, ...extra })
  }

  /** One that belongs to us and not to the pipeline: no proxy stands in its way. */
  spawnBeside(command: string[]): Subprocess {
    return this.#spawn(command, this.#direct)
  }

  #spawn(command: string[], environment: Record<string, string>): Subprocess {
    // A fault that was interrupted may still be on its way.
    if (this.#ended) throw new Error('the run has ended')
    const log = openSync(this.logFile, 'a')
    try {
      return Bun.spawn([process.execPath, ...command], {
        cwd: root,
        env: { LOG_LEVEL: 'info', ...environment },
        stdin: 'ignore',
        stdout: log,
        stderr: log,
      })
    } finally {
      closeSync(log)
    }
  }

  snapshot(): Promise<Snapshot> {
    return measure(this.store, this.keys)
  }

  /** Actors of a kind whose leases run. */
  async alive(kind: Actor['kind']): Promise<Actor[]> {
    const { actors } = await this.snapshot()
    return actors.filter((actor) => actor.kind === kind && actor.alive)
  }

  async get<T>(path: string): Promise<T> {
    const response = await this.fetch(path)
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  /** From the page of the supervisor that was started last, or of another one if that has none. */
  async fetch(path: string): Promise<Response> {
    const failures: unknown[] = []
    for (const { url } of this.supervisors.toReversed()) {
      try {
        return await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5_000) })
      } catch (error) {
        failures.push(error)
      }
    }
    throw failures[0] ?? new Error('no supervisor was started')
  }

  async post(path: string, body: unknown = {}): Promise<void> {
    const { MILLRACE_TOKEN: token } = this.#options.environment ?? {}
    const response = await fetch(`${this.url}${path}`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
      },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  }

  status(): Promise<StatusReport> {
    return this.get<StatusReport>('/api/status')
  }

  /** The status once it knows of all that is committed now: what the page tells may be a moment old. */
  async statusNow(): Promise<StatusReport> {
    const { totals } = await this.snapshot()
    return until('the status to know of all that is committed', async () => {
      const status = await this.status()
      return status.totals.committed >= totals.committed ? status : null
    })
  }

  async isReady(): Promise<boolean> {
    return (await this.fetch('/readyz')).ok
  }

  /** All rows, page by page. */
  async windows(query = ''): Promise<WindowReport[]> {
    const rows: WindowReport[] = []
    for (let cursor = ''; ; ) {
      const path = `/api/windows?limit=1000&${query}${cursor && `&cursor=${cursor}`}`
      const page = await this.get<{ windows: WindowReport[]; next?: string }>(path)
      rows.push(...page.windows)
      if (!page.next) return rows
      cursor = page.next
    }
  }

  async rejects(query = 'limit=1000'): Promise<RejectReport[]> {
    return (await this.get<{ rejects: RejectReport[] }>(`/api/rejects?${query}`)).rejects
  }

  /** Waits until everything that Kafka holds is committed: no lag, nothing in the stream. */
  async drained(options: UntilOptions = {}): Promise<Snapshot> {
    const what = `${this.name} to be drained`
    return until(what, () => this.#drained(), { timeoutMs: 60_000, everyMs: 50, ...options })
  }

  async #drained(): Promise<Snapshot | null> {
    const ends = await this.topic.ends()
    const snapshot = await this.snapshot()
    const { partitions, entries, pending, totals } = snapshot
    const behind = ends.filter(
      (end, p) => partitions.find(({ partition }) => partition === p)?.frontier !== Number(end),
    )
    if (behind.length === 0 && entries === 0 && pending === 0 && totals.waiting === 0) {
      return snapshot
    }
    const places = partitions.map(({ frontier }) => frontier).join(',')
    throw new Error(
      `ends ${ends.join(',')}, frontiers ${places}, entries ${entries}, pending ${pending}, waiting ${totals.waiting}`,
    )
  }

  /** `bun verify/main.ts --json`: what the recomputation says, by the job's file or another one. */
  async verify(waitSeconds = 60, file = this.jobFile): Promise<Report> {
    const command = ['verify/main.ts', file, '--json', '--wait', String(waitSeconds)]
    const child = Bun.spawn([process.execPath, ...command], {
      cwd: root,
      // What a record is made to cost is no part of its result, and an hour's records would cost an hour.
      env: { ...this.#direct, ...this.#options.environment, MILLRACE_TEST_SPIN_US: '0' },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: (waitSeconds + 120) * 1_000,
    })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    if (!out.startsWith('{')) throw new Error(`verify: ${err.trim() || `exit ${child.exitCode}`}`)
    return JSON.parse(out) as Report
  }

  /** Lines of the log that match. */
  logLines(pattern: RegExp): string[] {
    return readFileSync(this.logFile, 'utf8')
      .split('\n')
      .filter((line) => pattern.test(line))
  }

  /** Ends the supervisors in order, the last one first; each must end with code 0. */
  async stop(): Promise<void> {
    for (const { process: child } of this.supervisors.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      const code = await child.exited
      clearTimeout(timer)
      if (code !== 0) throw new Error(`the supervisor ended with ${child.signalCode ?? code}`)
    }
  }

  /** Ends whatever of ours is left. */
  async kill(): Promise<void> {
    this.#ended = true
    for (const { process: child } of this.supervisors) child.kill('SIGKILL')
    for (const { pid } of this.processes()) killQuietly(pid, 'SIGKILL')
    await Promise.all(this.supervisors.map(({ process: child }) => child.exited))
  }

  /** Processes of this pipeline, whoever their parent is by now; on Linux only. */
  processes(): { pid: number; command: string }[] {
    if (process.platform !== 'linux') return []
    const marker = `MILLRACE_TEST_JOB=${this.name}\0`
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && read(`/proc/${name}/environ`).includes(marker))
      .map((name) => ({
        pid: Number(name),
        command: read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim(),
      }))
      .filter(({ command }) => command !== '')
  }

  /** Forgets the job, its topic and its log. */
  async clear(): Promise<void> {
    await this.forget()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  /** Forgets the job and its topic. */
  async forget(): Promise<void> {
    await this.store.redis.hdel(shared.register, this.name)
    await this.topic.delete().catch(() => undefined)
    const { redis } = this.store
    for (const { base } of this.keys.shards) {
      for await (const keys of keysLike(redis, `${base}:*`)) await redis.unlink(...keys)
    }
  }

  async lastWords(): Promise<string> {
    // Without the tables of windows and decisions.
    const lines = this.logLines(/^\{|error/i).slice(-40)
    const state = await Promise.race([
      this.snapshot().then(
        (snapshot) => Bun.inspect(snapshot),
        (error: unknown) => String(error),
      ),
      systemClock.sleep(2_000).then(() => 'Redis does not answer'),
    ])
    return [`── the log of ${this.name}: ${this.logFile}`, ...lines, state].join('\n')
  }
}

export function killQuietly(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

/** What a developer has set for a pipeline of their own must not reach ours. */
function withoutSettings(environment: NodeJS.ProcessEnv): Record<string, string> {
  const settings = /^(KAFKA_|REDIS_|EXECUTORS_|MILLRACE_|LOG_|OTEL_|HOST$|PORT$|START_FROM$)/
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value === undefined || settings.test(name) ? [] : [[name, value]],
    ),
  )
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
