/**
 * Asks a Kafka what `kafka.ts` judges: by kafkajs's public calls, and by our own reader where the
 * bridge's way of reading is the question. Reads only; makes no topic.
 */
import { connect } from 'node:net'
import { type Admin, ConfigResourceTypes, type Kafka } from 'kafkajs'
import { groupIdOf } from '../actors/bridge/frontiers.ts'
import { systemClock } from '../actors/clock.ts'
import type { Config } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import { RawKafka } from '../actors/kafka.ts'
import { kafkaClient, kafkaMessage } from '../actors/kafka-client.ts'
import type { KafkaFacts, PartitionFacts, Reach, TopicFacts } from './kafka.ts'

const portMs = 1_500
const settingNames = [
  'retention.ms',
  'retention.bytes',
  'cleanup.policy',
  'max.message.bytes',
  'message.timestamp.type',
  'message.format.version',
]

/** Never rejects: what can't be asked is among the facts. `job` is null where none could be loaded. */
export async function readKafka(config: Config, job: Job | null): Promise<KafkaFacts> {
  const seeds = await Promise.all(config.KAFKA_BROKERS.map(reach))
  const facts: KafkaFacts = { seeds, brokers: [], error: null, topic: null }
  const answering = seeds.filter(({ error }) => error === null).map(({ address }) => address)
  if (answering.length === 0) return facts
  // The others would be tried as well, and each try takes time.
  const client = kafkaClient({ ...config, KAFKA_BROKERS: answering }, 'millrace-doctor')
  const admin = client.admin({ retry: { retries: 1 } })
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    facts.brokers = await Promise.all(brokers.map(({ host, port }) => reach(`${host}:${port}`)))
    if (job?.topics) facts.topics = await readTopics(admin, client, job)
    else if (job) facts.topic = await readTopic(admin, new RawKafka(client, job.topic), job)
  } catch (error) {
    facts.error = kafkaMessage(error)
  } finally {
    void admin.disconnect().catch(() => undefined)
  }
  return facts
}

/** Whether somebody listens there. */
function reach(address: string): Promise<Reach> {
  const at = address.lastIndexOf(':')
  const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) })
  return new Promise((resolve) => {
    const told = (error: string | null) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ address, error })
    }
    const timer = setTimeout(() => told('no answer'), portMs)
    socket.once('connect', () => told(null))
    socket.once('error', (error: Error & { code?: string }) => told(error.code ?? error.message))
  })
}

async function readTopics(admin: Admin, client: Kafka, job: Job) {
  const names = job.topics instanceof RegExp ? await matching(client, job.topics) : job.topics!
  const found: [string, TopicFacts | null][] = []
  for (const name of names) {
    const reader = new RawKafka(client, name)
    found.push([name, await readTopic(admin, reader, { ...job, topic: name })])
  }
  return found
}

async function matching(client: Kafka, pattern: RegExp): Promise<string[]> {
  const reader = new RawKafka(client, pattern)
  try {
    return (await reader.connect()).map(({ name }) => name)
  } finally {
    void reader.close().catch(() => undefined)
  }
}

async function readTopic(admin: Admin, reader: RawKafka, job: Job): Promise<TopicFacts | null> {
  let layout: { partition: number; replicas: number; inSync: number }[]
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [job.topic] })
    layout = (topics[0]?.partitions ?? []).map(({ partitionId, replicas, isr }) => ({
      partition: partitionId,
      replicas: replicas.length,
      inSync: isr.length,
    }))
  } catch (error) {
    if ((error as { type?: string }).type === 'UNKNOWN_TOPIC_OR_PARTITION') return null
    throw error
  }
  try {
    const [found] = await reader.connect()
    if (!found) return null
    const { id, partitions } = found
    const first = await reader.offsets('earliest', partitions)
    const end = await reader.offsets('latest', partitions)
    const settings = await readSettings(admin, job.topic)
    const young = await readYoung(admin, job.topic, settings)
    return {
      id,
      partitions: layout.map((one): PartitionFacts => {
        const of = (offsets: Map<number, number>) => offsets.get(one.partition) ?? 0
        return { ...one, first: of(first), end: of(end), young: young?.get(one.partition) ?? null }
      }),
      settings,
      // A group that may not be read is no witness; the bridge sees it the same way.
      committed: await reader.committedOffsets(groupIdOf(job), partitions).catch(() => new Map()),
      fetching: await tryFetching(reader, end),
    }
  } finally {
    void reader.close().catch(() => undefined)
  }
}

async function readSettings(admin: Admin, topic: string): Promise<Record<string, string> | null> {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configNames: settingNames }
  try {
    const answer = await admin.describeConfigs({ resources: [resource], includeSynonyms: false })
    const entries = answer.resources[0]?.configEntries ?? []
    return Object.fromEntries(
      entries.map(({ configName, configValue }) => [configName, configValue]),
    )
  } catch {
    return null
  }
}

async function readYoung(
  admin: Admin,
  topic: string,
  settings: Record<string, string> | null,
): Promise<Map<number, number> | null> {
  const retentionMs = Number(settings?.['retention.ms'] ?? -1)
  if (!(retentionMs > 0)) return null
  const since = Math.floor(systemClock.now() - 0.9 * retentionMs)
  const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, Math.max(0, since))
  return new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)]))
}

/** From each leader, as the bridge does it, where nothing is to come. */
async function tryFetching(reader: RawKafka, end: Map<number, number>): Promise<string | null> {
  try {
    for (const [node, partitions] of reader.leaders([...end.keys()])) {
      const from = partitions.map((partition) => ({ partition, offset: end.get(partition)! }))
      const refused = (await reader.fetch(node, from, 0)).find(({ error }) => error !== null)
      if (refused) return `${refused.error} for partition ${refused.partition}`
    }
    return null
  } catch (error) {
    return kafkaMessage(error)
  }
}
