/**
 * Whether a job could run now: Redis answers, Kafka answers, a supervisor leads.
 *
 * Kafka's health is the bridge's news where it is fresh (the lag is known only from reports of the
 * last seconds); otherwise Kafka is asked, once for everybody who wants to know within a while.
 */
import type { Clock } from '../actors/clock.ts'
import type { Config } from '../actors/config.ts'
import { kafkaClient } from '../actors/kafka-client.ts'
import { isOutage } from '../actors/redis.ts'
import type { StatusReader } from '../supervisor/status-reader.ts'
import type { missingParts } from './schemas.ts'

export type MissingPart = (typeof missingParts)[number]

const probeKeptMs = 2_000
const probeTimeoutMs = 1_500

/** What is missing, in the order in which to look at it. */
export async function missingOf(
  reader: StatusReader,
  kafkaAnswers: () => Promise<boolean>,
): Promise<MissingPart[]> {
  const seen = await lookAtRedis(reader)
  const missing: MissingPart[] = seen ? [] : ['redis']
  if (!seen?.bridgeHearsKafka && !(await kafkaAnswers())) missing.push('kafka')
  // Without Redis nobody can tell who leads, so it is not said to be missing.
  if (seen && !seen.leader) missing.push('leader')
  return missing
}

/** What each missing part means, for people. */
export function sentenceOf(missing: readonly MissingPart[]): string {
  const sentences: Record<MissingPart, string> = {
    redis: 'Redis does not answer',
    kafka: 'Kafka does not answer',
    leader: 'no supervisor leads',
  }
  return missing.map((part) => sentences[part]).join('; ')
}

/** Asks Kafka for its metadata with short timeouts; keeps the answer for two seconds. */
export function kafkaProbe(config: Config, clock: Clock): () => Promise<boolean> {
  let asked: { at: number; answer: Promise<boolean> } | null = null
  return () => {
    const now = clock.elapsed()
    if (!asked || now - asked.at > probeKeptMs) asked = { at: now, answer: probe(config, clock) }
    return asked.answer
  }
}

async function lookAtRedis(reader: StatusReader) {
  try {
    const [status, leader] = await Promise.all([reader.status(), reader.leader()])
    return { bridgeHearsKafka: status.backlog.kafkaLag !== null, leader }
  } catch (error) {
    if (isOutage(error)) return null
    throw error
  }
}

async function probe(config: Config, clock: Clock): Promise<boolean> {
  const admin = kafkaClient(config, 'millrace-web').admin({ retry: { retries: 0 } })
  const late = new AbortController()
  const asking = admin
    .connect()
    .then(() => admin.describeCluster())
    .then(
      () => true,
      () => false,
    )
  // The loser of the race is left to end by itself: kafkajs has no way to call a request back.
  const answer = await Promise.race([
    asking,
    clock.sleep(probeTimeoutMs, late.signal).then(() => false),
  ])
  late.abort()
  admin.disconnect().catch(() => undefined)
  return answer
}
