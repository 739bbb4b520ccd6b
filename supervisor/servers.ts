/**
 * Whether the servers are such that the job's promises hold: looked at when the supervisor starts,
 * after each reconnect (another Redis may have taken the address), and now and then.
 *
 *   check: what forbids a start → RefusalError      run: the whole start-up check, once, beside
 *   look:  INFO → complaint, for heartbeat, status and decisions, until it is right again
 *
 * A Redis that turns out wrong while the job runs does not stop it: what is lost by going on is no
 * more than by stopping, and an operator can put the setting right under it. But it is said.
 */
import type { Clock } from '../actors/clock.ts'
import { type Config, redisAddress } from '../actors/config.ts'
import { messageOf, RefusalError } from '../actors/errors.ts'
import type { Log } from '../actors/log.ts'
import { isOutage, type Store } from '../actors/redis.ts'
import { type Finding, forbids, sentenceOf } from '../doctor/finding.ts'
import { parseRedisUrl } from '../actors/redis-address.ts'
import { judgeCall, judgeServers } from '../doctor/redis.ts'
import { readInfos, type Told } from '../doctor/redis-facts.ts'
import { Processor } from './processor.ts'

export interface ServersOptions {
  store: Store
  config: Config
  clock: Clock
  log: Log
  /** Told of what is wrong, null for nothing, whenever that changes. */
  onComplaint: (complaint: string | null) => void
  /** All that `bun run doctor` looks at. */
  examine: () => Promise<Finding[]>
}

const times = {
  /** Nobody waits for the start-up check, and the start of the children needs the processor. */
  examineAfterMs: 2_000,
  /** So does a backlog that waits for this start; what is found is worth saying all the same. */
  examineWithinMs: 8_000,
  lookMs: 30_000,
  /** While something is wrong: who puts it right wants to see that. */
  complainingMs: 2_000,
  /** A Redis that has run for longer has been seen to by somebody, or has rewritten its file since. */
  restartedS: 120,
}

export class Servers {
  readonly #options: ServersOptions
  readonly #told = new Set<string>()
  #complaint: string | null = null
  #wake = new AbortController()
  /** Server → its run whose append-only file has been seen to. */
  readonly #runs = new Map<string, string>()

  constructor(options: ServersOptions) {
    this.#options = options
  }

  /** What is wrong with Redis now; null for nothing. */
  get complaint(): string | null {
    return this.#complaint
  }

  /**
   * Before the start. Rejects on an outage too.
   * @throws RefusalError with what to do
   */
  async check(): Promise<void> {
    const { store, config } = this.#options
    const told = await readInfos(store, config)
    const findings = this.#judge(told)
    const refusal = findings.find(forbids)
    if (refusal) throw new RefusalError(sentenceOf(refusal))
    // Only then: a Redis that is refused is left as it is.
    for (const one of told) await this.#renewFile(one)
    this.#tell(findings)
  }

  /** Passes on what a function's call failed with; one that is no outage as what to do about it. */
  explain(error: unknown): unknown {
    const message = messageOf(error)
    // Redis's own errors begin with a code in capitals; anything else is a bug, and stays what it is.
    if (isOutage(error) || !/^(NOPERM|MOVED|CROSSSLOT|ERR unknown command)/i.test(message)) {
      return error
    }
    const { config } = this.#options
    return new RefusalError(sentenceOf(judgeCall(redisAddress(config), message)), { cause: error })
  }

  /** Looks until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#options
    const wake = () => this.#wake.abort()
    store.redis.on('ready', wake)
    // Of a cluster: another server than before, as after a failover.
    store.redis.on('+node', wake)
    signal.addEventListener('abort', wake, { once: true })
    const examining = this.#examineOnce(signal).catch((error: unknown) => {
      log.error('the start-up check failed', { error: messageOf(error) })
    })
    while (!signal.aborted) {
      await clock.sleep(this.#complaint ? times.complainingMs : times.lookMs, this.#wake.signal)
      this.#wake = new AbortController()
      if (!signal.aborted) await this.look()
    }
    store.redis.off('ready', wake)
    store.redis.off('+node', wake)
    await examining
  }

  /** One look at Redis; while it is away nothing is known, and the last verdict stays. */
  async look(): Promise<void> {
    const { store, config, onComplaint, log } = this.#options
    let findings: Finding[]
    try {
      const told = await readInfos(store, config)
      for (const one of told) await this.#renewFile(one)
      findings = this.#judge(told)
    } catch (error) {
      if (!isOutage(error)) log.error('could not look at Redis', { error: messageOf(error) })
      return
    }
    const wrong = findings.filter(({ level }) => level === 'fatal').map(sentenceOf)
    const complaint = wrong.length > 0 ? wrong.join('; ') : null
    this.#tell(findings)
    if (complaint === this.#complaint) return
    this.#complaint = complaint
    if (complaint === null) {
      log.info('Redis is as it should be again')
      // What comes back is worth a line again.
      this.#told.clear()
      this.#remember(findings)
    }
    onComplaint(complaint)
  }

  #judge(told: Told[]): Finding[] {
    return judgeServers(told, parseRedisUrl(this.#options.config.REDIS_URL)?.kind ?? 'server')
  }

  /**
   * Has Redis write its append-only file anew when it has just restarted. Where a crash tore the file
   * inside a transaction, Redis (all of 7 and 8 that we know) drops that transaction from memory and
   * leaves its first half in the file; what is written next is appended to it, and the restart after
   * that applies the half together with it: a commit in part, and counters that fit nothing.
   */
  async #renewFile({ address, info, server }: Told): Promise<void> {
    const { log } = this.#options
    const { run_id: run = '', aof_enabled, uptime_in_seconds } = info
    if (run === this.#runs.get(address)) return
    this.#runs.set(address, run)
    if (aof_enabled !== '1' || Number(uptime_in_seconds) > times.restartedS) return
    try {
      await server.bgrewriteaof()
      log.info(
        'Redis began to run only now; its append-only file is written anew, in case a crash tore it',
      )
    } catch (error) {
      if (isOutage(error)) this.#runs.delete(address)
      // Another supervisor was first, or a hosted server keeps its files to itself.
      else log.debug('the append-only file is not written anew', { error: messageOf(error) })
    }
  }

  /** Everything else once, when the start is through; gives up when the signal comes. */
  async #examineOnce(signal: AbortSignal): Promise<void> {
    const { clock, examine } = this.#options
    await clock.sleep(times.examineAfterMs, signal)
    await new Processor(clock).spare(times.examineWithinMs, signal)
    if (signal.aborted) return
    const ended = new Promise<Finding[]>((resolve) => {
      signal.addEventListener('abort', () => resolve([]), { once: true })
    })
    this.#tell(await Promise.race([examine(), ended]))
  }

  /** Each thing once. */
  #tell(findings: readonly Finding[]): void {
    const { log } = this.#options
    const news = findings.filter(({ found }) => !this.#told.has(found))
    for (const finding of news) {
      if (forbids(finding)) log.error(sentenceOf(finding))
      else if (finding.level === 'warning' || finding.waits) log.warn(sentenceOf(finding))
    }
    this.#remember(news)
  }

  #remember(findings: readonly Finding[]): void {
    for (const { found } of findings) this.#told.add(found)
  }
}
