/**
 * Produces records to their topic again, each once: a Kafka transaction carries them together with the
 * evidence that it happened, an offset of a group of our own whose metadata is the transaction's
 * token. All replays of a job share one transactional id, so whoever begins ends what others had not
 * finished, and shuts them out: afterwards the evidence says for certain what has happened.
 */
import { CompressionTypes, type Kafka, type Message, Partitioners, type Producer } from 'kafkajs'
import type { Clock } from '../actors/clock.ts'
import { isKafkaOutage, kafkaMessage } from '../actors/kafka-client.ts'
import { bounds } from '../actors/config.ts'
import { RefusalError } from '../actors/errors.ts'
import { type Listed, numberOf, partitionOf, topicIndexOf } from '../actors/topics.ts'

/** An unfinished transaction hides what lies behind it from the bridge for so long at the most. */
const TRANSACTION_TIMEOUT_MS = 10_000
const PATIENCE_MS = 15_000
/** Records that hardly fit into a request go compressed, as they mostly came. */
const COMPRESSED_FROM_BYTES = 256 * 1024

/** The last transaction of a partition that happened. */
export interface Evidence {
  token: string
  /** Of its first record. */
  offset: number
}

/** A topic, and the index by which its partitions go (actors/topics.ts). */
type Topic = Pick<Listed, 'name' | 'index'>

export interface Sending {
  /** Of the partition. */
  number: number
  token: string
  messages: Message[]
}

/** `sent`: they are in the topic from this offset on. `refused`: they are not, and won't be. */
export type Sent = { kind: 'sent'; offset: number } | { kind: 'refused'; why: string }

/** What a replay asks of Kafka besides the original records. */
export interface Fenced {
  /** By the partitions' numbers. */
  evidence(): Promise<Map<number, Evidence>>
  /** Resolves where nobody has begun after us until now. @throws RefusalError where somebody has */
  prove(): Promise<void>
  /** Rejects where the outcome is unknown, or somebody else has begun. */
  send(sending: Sending): Promise<Sent>
  close(): Promise<void>
}

/** @throws RefusalError where another one begins; kafkajs's errors, also where Kafka is away for longer than a start takes */
export async function openFence(
  kafka: Kafka,
  job: string,
  topics: readonly Topic[],
  clock: Clock,
): Promise<Fenced> {
  const name = `millrace-${job}-replay`
  const producer = kafka.producer({
    transactionalId: name,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: TRANSACTION_TIMEOUT_MS,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
    // Another one's transaction takes a moment to be ended.
    retry: { retries: 12, initialRetryTime: 50, maxRetryTime: bounds.kafkaRetryCapMs },
  })
  try {
    await patiently(clock, async () => {
      await producer.connect()
      // kafkajs asks for its epoch with the first transaction only, and keeps it; an empty one costs
      // nothing more. From here on whoever began before us can't commit.
      await (await producer.transaction()).abort()
    })
    // Where it has never been asked for, Kafka makes its place first.
    await patiently(clock, () => evidenceOf(kafka, name, topics))
  } catch (error) {
    await producer.disconnect()
    // Of two that begin together the first is shut out before it has asked for anything.
    throw isShutOut(error) ? shutOut(error) : error
  }
  return {
    evidence: () => patiently(clock, () => evidenceOf(kafka, name, topics)),
    prove: () => prove(producer, `${name}-owner`, topics[0]!.name),
    send: (sending) => send(producer, name, nameOf(topics, sending), sending),
    close: () => producer.disconnect(),
  }
}

function nameOf(topics: readonly Topic[], { number }: Sending): string {
  const topic = topics.find(({ index }) => index === topicIndexOf(number))
  if (!topic) throw new Error(`no topic has partition number ${number}`)
  return topic.name
}

async function send(
  producer: Producer,
  groupId: string,
  topic: string,
  { number, token, messages }: Sending,
): Promise<Sent> {
  const partition = partitionOf(number)
  const transaction = await producer.transaction()
  let offset: string
  try {
    const bytes = messages.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    const [answer] = await transaction.send({
      topic,
      messages: messages.map((message) => ({ ...message, partition })),
      compression: bytes >= COMPRESSED_FROM_BYTES ? CompressionTypes.GZIP : CompressionTypes.None,
    })
    offset = answer!.baseOffset!
    // kafkajs passes the metadata on, though its types do not know it.
    const partitions = [{ partition, offset, metadata: token }]
    await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic, partitions }] })
  } catch (error) {
    if (isShutOut(error)) throw shutOut(error)
    // Only when this is through is it certain that nothing has happened.
    await transaction.abort()
    return { kind: 'refused', why: kafkaMessage(error) }
  }
  try {
    await transaction.commit()
  } catch (error) {
    throw isShutOut(error) ? shutOut(error) : error
  }
  return { kind: 'sent', offset: Number(offset) }
}

/** A transaction that changes nothing: only who is not shut out can commit it. */
async function prove(producer: Producer, groupId: string, topic: string): Promise<void> {
  try {
    const transaction = await producer.transaction()
    const topics = [{ topic, partitions: [{ partition: 0, offset: '0' }] }]
    await transaction.sendOffsets({ consumerGroupId: groupId, topics })
    await transaction.commit()
  } catch (error) {
    throw isShutOut(error) ? shutOut(error) : error
  }
}

async function evidenceOf(
  kafka: Kafka,
  groupId: string,
  topics: readonly Topic[],
): Promise<Map<number, Evidence>> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const names = topics.map(({ name }) => name)
    const answers = await admin.fetchOffsets({ groupId, topics: names })
    const indexes = new Map(topics.map(({ name, index }) => [name, index]))
    return new Map(
      answers.flatMap(({ topic, partitions }) =>
        partitions
          .filter(({ offset }) => Number(offset) >= 0)
          .map(({ partition, offset, metadata }): [number, Evidence] => [
            numberOf(indexes.get(topic)!, partition),
            { token: metadata ?? '', offset: Number(offset) },
          ]),
      ),
    )
  } finally {
    await admin.disconnect()
  }
}

/** A Kafka that has just started says "later" for some seconds. The action must be safe to repeat. */
async function patiently<T>(clock: Clock, action: () => Promise<T>): Promise<T> {
  const startedAt = clock.elapsed()
  for (;;) {
    try {
      return await action()
    } catch (error) {
      const isLater = isKafkaOutage(error) && clock.elapsed() - startedAt < PATIENCE_MS
      if (!isLater) throw error
      await clock.sleep(200)
    }
  }
}

const shutOutTypes = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_TXN_STATE'])

function isShutOut(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return shutOutTypes.has((error as { type?: string }).type ?? '') || isShutOut(error.cause)
}

const shutOut = (cause: unknown): RefusalError =>
  new RefusalError('another replay of this job has begun meanwhile, and goes on', { cause })
