/**
 * The whole start-up check: job, machine, page, Redis and Kafka side by side, and the job's ledger in
 * the one against its topic in the other. Whatever is broken, it answers within a few seconds, and
 * what can't be asked for one reason keeps nothing else from being asked.
 */
import { checkBinding } from '../actors/binding.ts'
import { systemClock } from '../actors/clock.ts'
import { type Config, redisAddress } from '../actors/config.ts'
import { messageOf } from '../actors/errors.ts'
import type { Job } from '../actors/job.ts'
import { kafkaAddress } from '../actors/kafka-client.ts'
import type { Keys } from '../actors/keys.ts'
import { loadJob } from '../actors/load.ts'
import { knownTopics } from '../actors/topics.ts'
import type { Store } from '../actors/redis.ts'
import { presentKeys, shardsProblem } from '../actors/shards.ts'
import { away, fatal, type Finding, ok } from './finding.ts'
import { judgeKafka, type LedgerFacts } from './kafka.ts'
import { readKafka } from './kafka-facts.ts'
import { judgeMachine, readMachine } from './machine.ts'
import { judgeRedis } from './redis.ts'
import { judgeAway, judgeSpread } from './spread.ts'
import { reachRedis, readRedis } from './redis-facts.ts'

export interface ExamineOptions {
  config: Config
  file: string
  executorsMax: number
  /** Where the page would listen; null for no page. */
  host: string | null
  acceptLoss: boolean
  fresh: boolean
}

/** Redis's answer is wanted before Kafka's is judged, so it may take less. */
const redisMs = 3_500
const kafkaMs = 4_300

export async function examine(options: ExamineOptions): Promise<Finding[]> {
  const { config, file, executorsMax, host } = options
  const { job, finding } = await readJob(file)
  const redis = examineRedis(config, job, executorsMax)
  const kafka = examineKafka(options, job, redis)
  return [
    finding,
    ...judgeMachine(readMachine(executorsMax)),
    ...(host === null ? [] : [judgeBinding(host, config)]),
    ...(await redis).findings,
    ...(await kafka),
  ]
}

/** A page that others could reach without a token; the same rule as the page's own. */
export function judgeBinding(host: string, config: Pick<Config, 'MILLRACE_TOKEN'>): Finding {
  try {
    checkBinding(host, config.MILLRACE_TOKEN)
    return ok('web page', config.MILLRACE_TOKEN ? `${host}, with a token` : `${host} only`)
  } catch (error) {
    const [found, todo] = messageOf(error).split(': ')
    return fatal('web page', found!, todo ?? '')
  }
}

async function readJob(file: string): Promise<{ job: Job | null; finding: Finding }> {
  try {
    const job = await loadJob(file)
    return {
      job,
      finding: ok('job', `${job.name} of ${file}, ${job.topics ? 'topics' : 'topic'} ${job.topic}`),
    }
  } catch (error) {
    return { job: null, finding: fatal('job', messageOf(error), 'correct the job’s file') }
  }
}

/** The keys that the job has; of one whose shards are being changed those of all. */
async function examineShards(store: Store, job: Job | null, config: Config) {
  if (job === null) return { keys: null, findings: [] }
  const keys = await presentKeys(store, job.name)
  const problem = await shardsProblem(store, job, config.REDIS_SHARDS)
  const todo = 'leave REDIS_SHARDS out, or change the job with bun run reshard'
  return { keys, findings: problem === null ? [] : [fatal('shards', problem, todo)] }
}

interface RedisVerdict {
  findings: Finding[]
  ledger: LedgerFacts | null
}

function examineRedis(
  config: Config,
  job: Job | null,
  executorsMax: number,
): Promise<RedisVerdict> {
  const address = redisAddress(config)
  const unanswered = (found: string): RedisVerdict => ({
    findings: [away('Redis', found, 'look at its log, and at the network between')],
    ledger: null,
  })
  const work = async (): Promise<RedisVerdict> => {
    const store = await reachRedis(config)
    if (!('redis' in store)) return { findings: [store], ledger: null }
    try {
      const { keys, findings: divided } = await examineShards(store, job, config)
      const facts = await readRedis(store, keys, config, executorsMax)
      const leader = keys && (await store.redis.get(keys.leader).catch(() => null))
      const findings = [
        ...judgeRedis(facts),
        ...divided,
        ...judgeAway(facts.away),
        ...judgeSpread(facts.shards),
      ]
      if (leader)
        findings.push(
          ok(
            'supervisor',
            `${leader} leads; one on another machine would run executors as well, one on the same would stand by`,
          ),
        )
      return { findings, ledger: keys && (await readLedger(store, keys)) }
    } catch (error) {
      return unanswered(`Redis at ${address} stopped answering: ${messageOf(error)}`)
    } finally {
      await store.close()
    }
  }
  return within(redisMs, work(), () =>
    unanswered(`Redis at ${address} takes connections but gives no answers`),
  )
}

async function examineKafka(
  { config, acceptLoss, fresh }: ExamineOptions,
  job: Job | null,
  redis: Promise<RedisVerdict>,
): Promise<Finding[]> {
  // Before Kafka's ends: of a job at work it would be ahead of them otherwise.
  const { ledger } = await redis
  const work = async () => {
    const facts = await readKafka(config, job)
    return judgeKafka(facts, job && { job, ledger, acceptLoss, fresh })
  }
  return within(kafkaMs, work(), () => {
    const found = `Kafka at ${kafkaAddress(config)} gives no answers`
    return [away('Kafka', found, 'look at its log, and at the network between')]
  })
}

/** Null where it can't be read. */
async function readLedger(store: Store, keys: Keys): Promise<LedgerFacts | null> {
  try {
    const ledgers = await Promise.all(keys.shards.map(({ ledger }) => store.redis.hgetall(ledger)))
    const fields = ledgers[0]!
    const rests = keys.shards.map(({ totals, panes, closed }) =>
      store.redis.exists(totals, panes, closed),
    )
    const left = (await Promise.all(rests)).reduce((sum, count) => sum + count, 0)
    const next = ledgers
      .flatMap(Object.entries<string>)
      .flatMap(([name, value]): [number, number][] => {
        const partition = /^(\d+):next$/.exec(name)?.[1]
        return partition === undefined ? [] : [[Number(partition), Number(value)]]
      })
    const topics = knownTopics(fields)
    return { topicId: fields.topicId ?? null, next: new Map(next), left: left > 0, topics }
  } catch {
    return null
  }
}

/** `work`'s result, or `late`'s where it takes too long; what is late is left to itself. */
async function within<T>(ms: number, work: Promise<T>, late: () => T): Promise<T> {
  const done = new AbortController()
  const timeout = systemClock.sleep(ms, done.signal).then(late)
  try {
    return await Promise.race([work, timeout])
  } finally {
    done.abort()
  }
}
