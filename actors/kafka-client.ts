/**
 * A kafkajs client from the configuration, and what tells Kafka's outage from a mistake of ours.
 *
 * kafkajs logs several lines for each failed attempt; here the caller says an outage once, in one
 * line, and kafkajs's own lines appear with LOG_LEVEL=debug only.
 */
import { Kafka, type logCreator, logLevel, type SASLOptions } from 'kafkajs'
import Connection from 'kafkajs/src/network/connection'
import RequestQueue from 'kafkajs/src/network/requestQueue'
import { backoffDelayMs } from './backoff.ts'
import { type Clock, systemClock, untilTick } from './clock.ts'
import { bounds, type Config } from './config.ts'
import { messageOf } from './errors.ts'
import { createLog, type Log } from './log.ts'
import './receive.ts'

/** How to reach a Kafka: the part of the configuration that says so. */
export type KafkaConfig = Pick<Config, 'KAFKA_BROKERS'> & Partial<Config>

// Every producer of ours names its partitioner; the warning would come nevertheless.
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'

// kafkajs looks at its queue of requests by a timer that sets itself anew, with a delay in the past,
// also while nothing waits: a thousand wake-ups a second in each process. Only a queue needs it.
const look = RequestQueue.prototype.scheduleCheckPendingRequests
RequestQueue.prototype.scheduleCheckPendingRequests = function schedulePending() {
  if (this.pending.length > 0) look.call(this)
}

// Likewise its look for requests that took too long, ten times a second for each connection: with
// timeouts of seconds, once a second does. What counts is silence: a large answer over a slow line may
// take longer than anybody waits for a connection that is dead, as long as some of it keeps coming.
RequestQueue.prototype.scheduleRequestTimeoutCheck = function scheduleTimeouts() {
  this.destroy()
  const check = () => {
    for (const request of this.inflight.values()) {
      const heardAt = Math.max(request.sentAt, this.heardAt ?? 0)
      if (Date.now() - heardAt > request.requestTimeout) request.timeoutRequest()
    }
    // A timeout may have closed the connection, and with it this.
    if (this.isConnected()) schedule()
  }
  const schedule = () => {
    this.requestTimeoutIntervalId = setTimeout(check, untilTick(systemClock, 1_000))
  }
  schedule()
}

const pass = Connection.prototype.processData
Connection.prototype.processData = function processHeard(bytes) {
  this.requestQueue.heardAt = Date.now()
  pass.call(this, bytes)
}

export interface ClientOptions {
  /** How long a connection may be silent while an answer is due. */
  silenceMs?: number
}

/** A client that gives up after about a second, so that the caller can say what is wrong. */
export function kafkaClient(
  config: KafkaConfig,
  clientId: string,
  { silenceMs = 30_000 }: ClientOptions = {},
): Kafka {
  const sasl = saslOf(config)
  const debug = config.LOG_LEVEL === 'debug'
  return new Kafka({
    clientId,
    brokers: config.KAFKA_BROKERS,
    ssl: config.KAFKA_SSL ?? false,
    ...(sasl ? { sasl } : {}),
    logLevel: debug ? logLevel.DEBUG : logLevel.NOTHING,
    logCreator: logTo(createLog(clientId, config.LOG_LEVEL)),
    connectionTimeout: 3_000,
    requestTimeout: silenceMs,
    retry: { retries: 3, initialRetryTime: 100, maxRetryTime: bounds.kafkaRetryCapMs },
  })
}

/** The brokers' addresses, for messages. */
export function kafkaAddress(config: KafkaConfig): string {
  return config.KAFKA_BROKERS.join(',')
}

const connectionErrors = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
  'KafkaJSGroupCoordinatorNotFound',
  'KafkaJSLockTimeout',
])

/** Whether an error says that Kafka is away for a while, rather than that something is wrong. */
export function isKafkaOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (connectionErrors.has(error.name)) return true
  const { type, retriable } = error as { type?: string; retriable?: boolean }
  // A topic that isn't there is "retriable" to Kafka, because it could still be on its way.
  if (error.name === 'KafkaJSProtocolError') {
    return retriable === true && type !== 'UNKNOWN_TOPIC_OR_PARTITION'
  }
  return isKafkaOutage(error.cause)
}

/** kafkajs wraps an error up to three times; the innermost one says what happened. */
export function kafkaMessage(error: unknown): string {
  let innermost = error
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause
  return messageOf(innermost)
}

/**
 * Runs `action` until it does not fail because of an outage; says the outage once and its end once.
 * Other errors, and an outage after the signal, are thrown. The action must be safe to repeat.
 */
export async function throughOutages<T>(
  config: KafkaConfig,
  log: Pick<Log, 'warn' | 'info'>,
  action: () => Promise<T>,
  { clock = systemClock, signal }: { clock?: Clock; signal?: AbortSignal } = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const result = await action()
      if (attempt > 1) log.info(`Kafka at ${kafkaAddress(config)} answers again`)
      return result
    } catch (error) {
      if (signal?.aborted || !isKafkaOutage(error)) throw error
      if (attempt === 1) {
        log.warn(
          `Kafka at ${kafkaAddress(config)} does not answer; trying again (is it running? bun run services up)`,
          { error: kafkaMessage(error) },
        )
      }
      const backoff = { baseMs: 100, capMs: bounds.kafkaRetryCapMs }
      await clock.sleep(backoffDelayMs(backoff, attempt, clock.random()), signal)
    }
  }
}

function saslOf(config: KafkaConfig): SASLOptions | undefined {
  const username = config.KAFKA_SASL_USERNAME
  const password = config.KAFKA_SASL_PASSWORD
  if (!config.KAFKA_SASL_MECHANISM || !username || !password) return undefined
  return { mechanism: config.KAFKA_SASL_MECHANISM, username, password }
}

const logTo =
  (log: Log): logCreator =>
  () =>
  ({ namespace, log: { message, error } }) => {
    const cause: unknown = error
    log.debug(message, { from: namespace, ...(cause ? { error: messageOf(cause) } : {}) })
  }
