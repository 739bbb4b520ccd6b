/**
 * Judges a Kafka and a job's topic in it: facts in, findings out. Pure.
 *
 * The ledger in Redis is laid beside what Kafka still holds, by the same rules as the bridge's, so
 * that what the bridge would refuse is known before, and what retention is about to take as well.
 */
import { lostLedger } from '../actors/bridge/origin.ts'
import { type KnownTopic, partitionOf, topicIndexOf } from '../actors/topics.ts'
import { bounds } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import { away, fatal, type Finding, hint, ok, warning } from './finding.ts'

/** A bridge that is at work is behind by so many at any time. */
const fewRecords = 1_000

/** An address, and why it can't be reached; null where it can. */
export interface Reach {
  address: string
  error: string | null
}

export interface KafkaFacts {
  /** KAFKA_BROKERS, and the brokers that they name. */
  seeds: Reach[]
  brokers: Reach[]
  /** Why Kafka itself does not answer though its ports do; null where it does. */
  error: string | null
  /** Null where it does not exist, or could not be asked for. */
  topic: TopicFacts | null
  /** In its stead those of a job that has several, by name. */
  topics?: readonly (readonly [name: string, facts: TopicFacts | null])[]
}

export interface TopicFacts {
  /** '' where the broker is too old to tell. */
  id: string
  partitions: PartitionFacts[]
  /** Of the topic; null where they may not be read. */
  settings: Readonly<Record<string, string>> | null
  /** Offsets of the job's group. */
  committed: Map<number, number>
  /** What fetching as the bridge does it fails with. */
  fetching: string | null
}

export interface PartitionFacts {
  partition: number
  replicas: number
  inSync: number
  /** Offsets: first and next in the log. */
  first: number
  end: number
  /** First offset whose record is younger than nine tenths of retention.ms; null for no such limit. */
  young: number | null
}

/** What Redis holds of where the job is. */
export interface LedgerFacts {
  topicId: string | null
  /** By the partitions' numbers (actors/topics.ts). */
  next: Map<number, number>
  /** By their indexes, where the job has several. */
  topics?: readonly KnownTopic[]
  /** Windows or counters without a ledger. */
  left: boolean
}

export interface JobFacts {
  job: Pick<Job, 'name' | 'topic'>
  /** Null where Redis could not tell. */
  ledger: LedgerFacts | null
  acceptLoss: boolean
  fresh: boolean
}

export function judgeKafka(facts: KafkaFacts, of: JobFacts | null): Finding[] {
  const reached = facts.seeds.some(({ error }) => error === null)
  return [
    ...judgeReach(facts),
    ...(reached && facts.error !== null ? [judgeAnswer(facts)] : []),
    ...(reached && facts.error === null && of ? judgeTopics(facts, of) : []),
  ]
}

function judgeTopics({ topic, topics }: KafkaFacts, of: JobFacts): Finding[] {
  if (!topics) return judgeTopic(topic, of)
  if (topics.length > 0)
    return topics.flatMap(([name, facts]) => judgeTopic(facts, factsOf(of, name)))
  const found = `no topic matches ${of.job.topic} yet; the job will wait for one`
  return [warning('topic', found, 'create it, or start its producer')]
}

/** The same job as if it had this topic only. */
function factsOf(of: JobFacts, name: string): JobFacts {
  const job = { ...of.job, topic: name }
  const { ledger } = of
  if (!ledger || ledger.topicId === null) return { ...of, job }
  const index = (ledger.topics ?? []).findIndex((topic) => topic.name === name)
  const own = [...ledger.next].filter(([number]) => topicIndexOf(number) === index)
  const next = new Map(own.map(([number, offset]) => [partitionOf(number), offset]))
  // A topic that is new to the ledger has no identity yet.
  return { ...of, job, ledger: { ...ledger, topicId: ledger.topics?.[index]?.id ?? '', next } }
}

function judgeReach({ seeds, brokers }: KafkaFacts): Finding[] {
  const lost = seeds.filter(({ error }) => error !== null)
  const named = lost.map(({ address, error }) => `${address} (${error})`).join(', ')
  if (lost.length === seeds.length) {
    const todo = 'start it (bun run services up) or set KAFKA_BROKERS'
    return [away('Kafka', `Kafka does not answer at ${named}`, todo)]
  }
  const findings: Finding[] = []
  if (lost.length > 0) {
    const found = `these of KAFKA_BROKERS do not answer: ${named}`
    findings.push(warning('Kafka', found, 'start them or take them out of KAFKA_BROKERS'))
  }
  for (const { address, error } of brokers) {
    if (error === null) continue
    const found = `Kafka sends clients to its broker ${address}, which does not answer: ${error}`
    const todo = 'start it, or set advertised.listeners to an address that this machine reaches'
    findings.push(away('Kafka broker', found, todo))
  }
  const reached = brokers.filter(({ error }) => error === null).map(({ address }) => address)
  return reached.length > 0 ? [...findings, ok('Kafka', reached.join(', '))] : findings
}

function judgeAnswer({ seeds, error }: KafkaFacts): Finding {
  const reached = seeds.filter((seed) => seed.error === null).map(({ address }) => address)
  const found = `Kafka at ${reached.join(', ')} takes the connection but does not answer: ${error}`
  return away('Kafka', found, 'check KAFKA_SSL and KAFKA_SASL_*, or wait until it has started')
}

function judgeTopic(topic: TopicFacts | null, of: JobFacts): Finding[] {
  const what = 'topic'
  const { job } = of
  if (!topic) {
    const found = `topic ${job.topic} does not exist yet; the job will wait for it`
    return [warning(what, found, 'create it, or start its producer')]
  }
  const size = topic.partitions.length
  return [
    ok(what, `${job.topic}, ${size} ${size === 1 ? 'partition' : 'partitions'}`),
    ...judgeFetching(topic, job),
    judgeReplicas(topic, job),
    ...judgeSettings(topic, job),
    ...judgeLedger(topic, of),
  ]
}

function judgeFetching({ fetching }: TopicFacts, job: JobFacts['job']): Finding[] {
  if (fetching === null) return [ok('Kafka version', 'new enough')]
  if (/is needed|before 0\.11/.test(fetching)) {
    return [fatal('Kafka version', fetching, 'update the brokers')]
  }
  const found = `topic ${job.topic} can't be read: ${fetching}`
  if (/AUTHORIZATION/i.test(fetching)) {
    const todo = `allow the user to read topic ${job.topic} and group millrace-${job.name}`
    return [fatal('topic', found, todo)]
  }
  return [away('topic', found, 'look at the brokers’ logs; a job waits')]
}

function judgeReplicas({ partitions }: TopicFacts, job: JobFacts['job']): Finding {
  const what = 'replicas'
  const short = partitions.filter(({ inSync, replicas }) => inSync < replicas)
  if (short.length > 0) {
    const named = short.map((p) => `${p.partition} (${p.inSync} of ${p.replicas})`).join(', ')
    const found = `replicas of topic ${job.topic} are not in sync: partition ${named}`
    return warning(what, found, 'look at the brokers that lag')
  }
  if (partitions.some(({ replicas }) => replicas === 1)) {
    const found = `topic ${job.topic} has one replica: a lost disk is lost records`
    return hint(what, found, 'where records matter, use a replication factor of 3')
  }
  return ok(what, 'all in sync')
}

function judgeSettings({ settings }: TopicFacts, job: JobFacts['job']): Finding[] {
  const what = 'topic settings'
  if (!settings) {
    const found = `Kafka does not tell the settings of topic ${job.topic}`
    return [hint(what, found, 'allow DescribeConfigs, or check its retention by hand')]
  }
  const findings: Finding[] = []
  const largest = Number(settings['max.message.bytes'] ?? 0)
  if (largest > 2 * bounds.readAheadBytesMax) {
    const found = `batches of topic ${job.topic} may have ${Math.round(largest / 2 ** 20)} MiB; each is one entry and is held whole by Redis and an executor`
    findings.push(hint('max.message.bytes', found, 'lower it unless records are that large'))
  }
  if (settings['cleanup.policy']?.includes('compact')) {
    const found = `topic ${job.topic} is compacted: replaced records go uncounted, tombstones are rejected as null`
    findings.push(
      hint('cleanup.policy', found, 'for exact counts use a topic that is not compacted'),
    )
  }
  if (/^0\.([89]|10)\b/.test(settings['message.format.version'] ?? '')) {
    const found = `topic ${job.topic} is kept in the message format of Kafka before 0.11`
    findings.push(fatal('message format', found, 'remove message.format.version from the topic'))
  }
  const type = settings['message.timestamp.type']
  const times = type === 'LogAppendTime' ? 'Kafka’s clock' : 'producers’ clocks'
  return [
    ...findings,
    ok(what, `${retentionOf(settings)}, timestamps by ${times} (windows go by the records’ own)`),
  ]
}

function retentionOf(settings: Readonly<Record<string, string>>): string {
  const ms = Number(settings['retention.ms'] ?? -1)
  const bytes = Number(settings['retention.bytes'] ?? -1)
  const limits = [
    ...(ms >= 0 ? [`${(ms / 3_600_000).toFixed(ms < 36e6 ? 1 : 0)} h`] : []),
    ...(bytes >= 0 ? [`${Math.round(bytes / 2 ** 20)} MiB a partition`] : []),
  ]
  return `retention ${limits.join(', ') || 'without limit'}`
}

function judgeLedger(topic: TopicFacts, { job, ledger, acceptLoss, fresh }: JobFacts): Finding[] {
  const what = 'ledger'
  if (!ledger) return [hint(what, 'not compared with Kafka, because Redis does not tell it')]
  if (ledger.topicId === null) {
    const ends = new Map(topic.partitions.map(({ partition, end }) => [partition, end]))
    const lost = lostLedger(job, topic.committed, ends, ledger.left)
    if (lost === null) return [ok(what, 'none yet: a first start, from where --from says')]
    if (fresh) return [warning(what, lost, 'it begins anew, as --fresh says')]
    const [found, todo] = splitOnce(lost, '; ')
    return [fatal(what, found, todo)]
  }
  if (ledger.topicId !== '' && topic.id !== '' && ledger.topicId !== topic.id) {
    const found = `topic ${job.topic} was deleted and made again since job ${job.name} began to read it`
    return [fatal(what, found, 'run the job under another name to begin anew')]
  }
  const lost = lostPlaces(topic, ledger)
  if (lost.length > 0) {
    const found = `Redis has lost where job ${job.name} is in ${placesText(lost)} of topic ${job.topic}, while Kafka says that it has read there: the Redis of a shard was emptied or replaced, and windows are lost with it`
    if (fresh) return [warning(what, found, 'the whole job begins anew, as --fresh says')]
    const todo =
      'give that Redis its data back, or start once with --fresh to begin the whole job anew'
    return [fatal(what, found, todo)]
  }
  const findings = topic.partitions.flatMap((one) =>
    judgePosition(one, ledger.next.get(one.partition), {
      job,
      acceptLoss,
      settings: topic.settings,
    }),
  )
  return findings.length > 0 ? findings : [ok(what, 'within what Kafka holds')]
}

/** Partitions that only Kafka knows to have been read; one that was added since, nobody does. */
function lostPlaces({ partitions, committed }: TopicFacts, { topicId, next }: LedgerFacts) {
  if (topicId === '') return []
  return partitions
    .map(({ partition }) => partition)
    .filter((partition) => !next.has(partition) && (committed.get(partition) ?? 0) > 0)
}

const placesText = (partitions: readonly number[]): string =>
  `${partitions.length === 1 ? 'partition' : 'partitions'} ${partitions.join(', ')}`

function judgePosition(
  one: PartitionFacts,
  next: number | undefined,
  {
    job,
    acceptLoss,
    settings,
  }: Pick<JobFacts, 'job' | 'acceptLoss'> & Pick<TopicFacts, 'settings'>,
): Finding[] {
  const what = 'ledger'
  const { partition, first, end, young } = one
  // A partition that was added since: it is read from its beginning.
  if (next === undefined) return []
  const place = `partition ${partition} of topic ${job.topic}`
  if (next > end) {
    const found = `${place} ends at offset ${end}, but job ${job.name} has read up to ${next}: the topic was emptied or replaced`
    return [fatal(what, found, 'run the job under another name to begin anew')]
  }
  if (next < first) {
    const found = `records ${next} to ${first - 1} of ${place} were deleted by retention before they were read`
    if (acceptLoss) return [warning(what, found, 'it goes on without them, as --accept-loss says')]
    return [fatal(what, found, 'start with --accept-loss to go on without them')]
  }
  if (next === end) return []
  const todo = `raise retention.ms or retention.bytes of topic ${job.topic}, or let the job catch up`
  const behind = `${end - next} records of ${place} wait from offset ${next}`
  if (young !== null && next < young) {
    const hours = Number(settings?.['retention.ms']) / 3_600_000
    const found = `${behind}, and ${young - next} of them are near the end of their retention of ${hours.toFixed(1)} h`
    return [warning(what, found, todo)]
  }
  // Its size is not told, but a log whose beginning is gone shows how far deletion by size is.
  const bySize = Number(settings?.['retention.bytes'] ?? -1) >= 0
  if (bySize && first > 0 && end - next > fewRecords && next - first < 0.1 * (end - first)) {
    return [warning(what, `${behind}, near the log's first offset ${first}, which moves on`, todo)]
  }
  return []
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return [text.slice(0, at), text.slice(at + separator.length)]
}
