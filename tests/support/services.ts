/**
 * The Kafka and the Redis of the tests: those that tests/check.ts started and named in the
 * environment, otherwise private ones, started at the first call and shared by the process.
 * They are shared: a test makes names of its own (namespace.ts) and never flushes. One that stops or
 * kills a server starts its own with startServices.
 */
import { createLog } from '../../services/progress.ts'
import { startServices } from '../../services/services.ts'

export interface TestServices {
  kafkaBrokers: string
  redisUrl: string
  /** Both as the environment of a child process. */
  environment: { KAFKA_BROKERS: string; REDIS_URL: string }
}

let shared: Promise<TestServices> | undefined

export function testServices(): Promise<TestServices> {
  shared ??= named() ?? startServices({ log: createLog() })
  return shared
}

function named(): Promise<TestServices> | undefined {
  const kafkaBrokers = process.env.MILLRACE_TEST_KAFKA
  const redisUrl = process.env.MILLRACE_TEST_REDIS
  if (!kafkaBrokers || !redisUrl) return undefined
  const environment = { KAFKA_BROKERS: kafkaBrokers, REDIS_URL: redisUrl }
  return Promise.resolve({ kafkaBrokers, redisUrl, environment })
}
