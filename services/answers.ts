/**
 * Whether a Kafka or a Redis answers a call of its own protocol; an open port is not an answer.
 */
import { Redis } from 'ioredis'
import { Kafka, logLevel, type SASLOptions } from 'kafkajs'
import type { Config } from '../actors/config.ts'

const ANSWER_TIMEOUT_MS = 5_000

/** How to reach a Kafka: the part of the configuration that says so. */
export type KafkaAddress = Pick<Config, 'KAFKA_BROKERS'> &
  Partial<
    Pick<
      Config,
      'KAFKA_SSL' | 'KAFKA_SASL_MECHANISM' | 'KAFKA_SASL_USERNAME' | 'KAFKA_SASL_PASSWORD'
    >
  >

/** True when a broker describes a cluster that has at least one live broker. */
export async function kafkaAnswers(address: KafkaAddress): Promise<boolean> {
  const sasl = saslOf(address)
  const kafka = new Kafka({
    clientId: 'millrace-services',
    brokers: address.KAFKA_BROKERS,
    ssl: address.KAFKA_SSL ?? false,
    ...(sasl ? { sasl } : {}),
    logLevel: logLevel.NOTHING,
    connectionTimeout: ANSWER_TIMEOUT_MS,
    requestTimeout: ANSWER_TIMEOUT_MS,
    retry: { retries: 0 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const cluster = await admin.describeCluster()
    return cluster.brokers.length > 0
  } catch {
    return false
  } finally {
    await admin.disconnect().catch(() => undefined)
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

function saslOf(address: KafkaAddress): SASLOptions | undefined {
  const username = address.KAFKA_SASL_USERNAME
  const password = address.KAFKA_SASL_PASSWORD
  if (!address.KAFKA_SASL_MECHANISM || !username || !password) return undefined
  return { mechanism: address.KAFKA_SASL_MECHANISM, username, password }
}
