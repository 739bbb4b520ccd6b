/**
 * Whether a Kafka or a Redis answers a call of its own protocol; an open port is not an answer.
 */
import { Redis } from 'ioredis'
import type { Admin } from 'kafkajs'
import { systemClock } from '../actors/clock.ts'
import { type KafkaConfig, kafkaClient } from '../actors/kafka-client.ts'
import { parseRedisUrl } from '../actors/redis-address.ts'
import { connectRedis, type RedisConfig } from '../actors/redis-connection.ts'

const ANSWER_TIMEOUT_MS = 5_000

/** True when a broker describes a cluster that has at least one live broker. */
export async function kafkaAnswers(config: KafkaConfig): Promise<boolean> {
  const admin = kafkaClient(config, 'millrace-services').admin()
  // What accepts a connection and then says nothing would take the client a minute.
  const silence = new AbortController()
  const silent = systemClock.sleep(ANSWER_TIMEOUT_MS, silence.signal).then(() => false)
  try {
    return await Promise.race([describes(admin), silent])
  } finally {
    silence.abort()
    void admin.disconnect().catch(() => undefined)
  }
}

async function describes(admin: Admin): Promise<boolean> {
  try {
    await admin.connect()
    const cluster = await admin.describeCluster()
    return cluster.brokers.length > 0
  } catch {
    return false
  }
}

const ASK_EVERY_MS = 50

/** The same of whatever REDIS_URL may name: a cluster answers by some node, Sentinels by their master. */
export async function namedRedisAnswers(config: RedisConfig): Promise<boolean> {
  const address = parseRedisUrl(config.REDIS_URL)
  if (address?.kind === 'server' && !address.tls) return redisAnswers(address.url)
  const ms = ANSWER_TIMEOUT_MS
  const redis = connectRedis(config, { connectMs: ms, commandMs: ms, silenceMs: ms })
  redis.on('error', () => undefined)
  const deadline = systemClock.elapsed() + ms
  try {
    for (;;) {
      const answer = await redis.ping().catch(() => null)
      if (answer === 'PONG') return true
      if (systemClock.elapsed() > deadline) return false
      await systemClock.sleep(ASK_EVERY_MS)
    }
  } finally {
    redis.disconnect()
  }
}

/** True when PING is answered; a Redis that still loads its data does not answer yet. */
export async function redisAnswers(url: string): Promise<boolean> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: ANSWER_TIMEOUT_MS,
    commandTimeout: ANSWER_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    return (await redis.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    redis.disconnect()
  }
}
