/**
 * Hands batches of records to Kafka, a few at a time, and counts what Kafka has acknowledged.
 * An outage is said once and waited for; a batch whose reply was lost is sent again, so a record can
 * be in the topic twice, but none that was counted is missing.
 */
import type { CompressionTypes, Message, Producer } from 'kafkajs'
import { isKafkaOutage, type KafkaConfig, throughOutages } from '../kafka-client.ts'
import type { Log } from '../log.ts'

/** Batches that wait for Kafka's reply at once. */
const IN_FLIGHT_MAX = 4

export interface SenderOptions {
  config: KafkaConfig
  producer: Producer
  topic: string
  compression: CompressionTypes
  acks: number
  log: Pick<Log, 'warn' | 'info'>
  signal: AbortSignal
}

export class Sender {
  acknowledged = 0
  readonly #options: SenderOptions
  readonly #inFlight = new Set<Promise<void>>()
  #failure: unknown

  constructor(options: SenderOptions) {
    this.#options = { ...options, log: onceAtATime(options.log) }
  }

  /** Resolves when there is room for more. @throws what Kafka refused an earlier batch with */
  async send(messages: Message[]): Promise<void> {
    const sending = this.#deliver(messages).finally(() => this.#inFlight.delete(sending))
    this.#inFlight.add(sending)
    while (this.#inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.#inFlight)
    if (this.#failure) throw this.#failure
  }

  /** Resolves when every batch has its reply, or when there is none to come any more. */
  async drain(): Promise<void> {
    await Promise.all(this.#inFlight)
    if (this.#failure) throw this.#failure
  }

  async #deliver(messages: Message[]): Promise<void> {
    const { config, producer, topic, compression, acks, log, signal } = this.#options
    const send = () => producer.send({ topic, messages, compression, acks })
    try {
      await throughOutages(config, log, send, { signal })
      this.acknowledged += messages.length
    } catch (error) {
      // Stopped while Kafka is away: what was not acknowledged is told by the count.
      if (!(signal.aborted && isKafkaOutage(error))) this.#failure ??= error
    }
  }
}

/** Several batches meet the same outage; a person wants to read of it once. */
function onceAtATime(log: SenderOptions['log']): SenderOptions['log'] {
  let away = false
  return {
    warn(event, fields) {
      if (!away) log.warn(event, fields)
      away = true
    },
    info(event, fields) {
      if (away) log.info(event, fields)
      away = false
    },
  }
}
