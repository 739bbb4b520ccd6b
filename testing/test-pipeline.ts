/**
 * A job in the real pipeline, for the same cases as `testJob`: records through Kafka, bridge and executors
 * in processes of their own, windows in Redis, at the servers that the environment names.
 *
 *   const it = await testPipeline('jobs/rooms.ts')
 *   await it.feed({ at: it.now, room: 'kiln', celsius: 900 })
 *   expect(await it.windows()).toEqual([…])
 *   await it.close()
 *
 * The job runs under a name and from a topic of its own, which are gone with `close`, and without its
 * sinks, so that nothing of it meets what else is there.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Producer } from 'kafkajs'
import { systemClock } from '../actors/clock.ts'
import { type Config, readConfig } from '../actors/config.ts'
import { groupIdOf } from '../actors/bridge/frontiers.ts'
import { parseDuration } from '../actors/duration.ts'
import type { Duration, Job } from '../actors/job.ts'
import { kafkaClient } from '../actors/kafka-client.ts'
import { type Keys, keysOf } from '../actors/keys.ts'
import { loadJob } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import { openStore, type Store, untilReady } from '../actors/redis.ts'
import { advance } from '../supervisor/closing.ts'
import { dropJob } from '../versions/list.ts'
import { bytesOf, FedJob, type FedMeta, timeOf } from './account.ts'

export interface TestPipelineOptions {
  /** Partitions of its topic. Default 1. */
  partitions?: number
  /** Executors, all from the start. Default 1. */
  executors?: number
  /** How long a record may take until it is committed; ms. Default 30,000. */
  timeoutMs?: number
  /** `KAFKA_BROKERS`, `REDIS_URL` and the rest; ours by default. */
  environment?: Record<string, string | undefined>
}

/**
 * Starts the pipeline of a job's file.
 * @throws UsageError for a file that is none, RangeError for a job of several topics
 */
export async function testPipeline(
  file: string,
  options: TestPipelineOptions = {},
): Promise<TestPipeline> {
  const declared = await loadJob(file)
  if (declared.topics !== null) {
    throw new RangeError(
      `${file} reads several topics: testPipeline gives a job a topic of its own`,
    )
  }
  const environment = { ...process.env, ...options.environment }
  const name = `test-${process.pid.toString(36)}-${systemClock.now().toString(36)}`
  const job: Job = { ...declared, name, topic: `${declared.topic}.${name}`.slice(-249), sinks: [] }
  const pipeline = new TestPipeline(job, resolve(file), { ...options, environment })
  try {
    await pipeline.start()
    return pipeline
  } catch (error) {
    await pipeline.close().catch(() => {})
    throw error
  }
}

const LOOK_EVERY_MS = 10
const END_TIMEOUT_MS = 20_000
const supervisorFile = join(import.meta.dir, '../supervisor/main.ts')

export class TestPipeline extends FedJob {
  protected readonly job: Job
  protected readonly keys: Keys
  protected readonly store: Store
  readonly #options: TestPipelineOptions
  readonly #config: Config
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  readonly #file: string
  #producer: Producer | null = null
  #supervisor: Bun.Subprocess<'ignore', 'ignore', 'pipe'> | null = null
  #said: Promise<string> = Promise.resolve('')
  #fed = 0

  constructor(job: Job, file: string, options: TestPipelineOptions) {
    super()
    this.job = job
    this.keys = keysOf(job.name)
    this.#options = options
    this.#config = readConfig(options.environment)
    this.store = openStore(this.#config, createLog('test', 'error'))
    this.#file = join(this.#folder, 'job.ts')
    const own = JSON.stringify({ name: job.name, topic: job.topic, sinks: [] })
    writeFileSync(
      this.#file,
      `import job from ${JSON.stringify(file)}\nexport default { ...job, ...${own} }\n`,
    )
  }

  get now(): number {
    return systemClock.now()
  }

  /** Resolves when records can be fed; that they are read is waited for there. */
  async start(): Promise<void> {
    const { partitions = 1, executors = 1, environment } = this.#options
    await untilReady(this.store)
    const kafka = kafkaClient(this.#config, 'millrace-test')
    await ensureTopic(kafka, this.job.topic, partitions)
    const count = String(executors)
    const flags = ['--from', 'earliest', '--min', count, '--max', count, '--no-web', '--quiet']
    this.#supervisor = Bun.spawn([process.execPath, supervisorFile, this.#file, ...flags], {
      // A tested job has one shard, whatever other jobs of the environment have.
      env: { ...environment, REDIS_SHARDS: '1' },
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
    })
    this.#said = new Response(this.#supervisor.stderr).text()
    // Not for ever, should the test end without its close.
    process.once('exit', () => this.#supervisor?.kill())
    this.#producer = kafka.producer({ allowAutoTopicCreation: false })
    await this.#producer.connect()
  }

  async feed(value: unknown, meta: FedMeta = {}): Promise<void> {
    await this.#send([value], meta)
  }

  /** In one batch: what one of them closes is closed when all are committed. */
  override async feedAll(values: Iterable<unknown>, meta: FedMeta = {}): Promise<void> {
    await this.#send([...values], meta)
  }

  /** The clock is everybody's: so much real time passes. */
  async advance(duration: Duration): Promise<void> {
    const ms = parseDuration(duration)
    if (ms === null || ms < 0) throw new RangeError(`not a duration: ${JSON.stringify(duration)}`)
    await systemClock.sleep(ms)
    await this.#close()
  }

  /** Ends the pipeline, and removes what Kafka and Redis have of it. */
  async close(): Promise<void> {
    const child = this.#supervisor
    child?.kill('SIGTERM')
    const ended = new AbortController()
    void systemClock.sleep(END_TIMEOUT_MS, ended.signal).then(() => {
      if (!ended.signal.aborted) child?.kill('SIGKILL')
    })
    await child?.exited
    ended.abort()
    await this.#producer?.disconnect()
    const admin = kafkaClient(this.#config, 'millrace-test').admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [this.job.topic] }).catch(() => {})
    await admin.deleteGroups([groupIdOf(this.job)]).catch(() => {})
    await admin.disconnect()
    await dropJob(this.store, this.keys)
    await this.store.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  protected async open(): Promise<void> {}

  async #send(values: readonly unknown[], meta: FedMeta): Promise<void> {
    const { topic, partition = 0, key = null, headers = {}, timestamp } = meta
    if (topic !== undefined) throw new RangeError('a record goes to the topic of the test')
    const { partitions = 1 } = this.#options
    if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
      throw new RangeError(`partition must be less than ${partitions}, not ${partition}`)
    }
    const at = timestamp === undefined ? this.now : timeOf('timestamp', timestamp)
    // kafkajs writes a header without a value where it is given null, which its types do not say.
    const kept = headers as Record<string, string>
    await this.#producer!.send({
      topic: this.job.topic,
      acks: -1,
      messages: values.map((value) => ({
        partition,
        key,
        headers: kept,
        timestamp: String(at),
        value: bytesOf(value),
      })),
    })
    this.#fed += values.length
    await this.#untilCommitted()
    await this.#close()
  }

  async #untilCommitted(): Promise<void> {
    const { timeoutMs = 30_000 } = this.#options
    const deadline = systemClock.elapsed() + timeoutMs
    for (;;) {
      const committed = Number((await this.store.redis.hget(this.keys.totals, 'committed')) ?? 0)
      if (committed >= this.#fed) return
      const ended = this.#supervisor?.exitCode ?? null
      if (ended !== null) throw new Error(`the pipeline ended (code ${ended}): ${await this.#said}`)
      if (systemClock.elapsed() > deadline) {
        throw new Error(
          `${committed} of ${this.#fed} records were committed within ${timeoutMs} ms`,
        )
      }
      await systemClock.sleep(LOOK_EVERY_MS)
    }
  }

  /** What the supervisor does four times a second, now: so that a case need not wait for it. */
  async #close(): Promise<void> {
    while (await advance(this.store, this.keys, this.job));
  }
}
