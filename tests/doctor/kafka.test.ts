/**
 * Verdicts on a Kafka, a topic and a ledger, from facts alone.
 */
import { describe, expect, test } from 'bun:test'
import { forbids, type Level } from '../../doctor/finding.ts'
import {
  type JobFacts,
  judgeKafka,
  type KafkaFacts,
  type PartitionFacts,
  type TopicFacts,
} from '../../doctor/kafka.ts'

const address = 'kafka.example:9092'
const partition: PartitionFacts = {
  partition: 0,
  replicas: 3,
  inSync: 3,
  first: 0,
  end: 1_000,
  young: null,
}
const topic: TopicFacts = {
  id: 'a',
  partitions: [partition],
  settings: { 'retention.ms': '604800000', 'cleanup.policy': 'delete' },
  committed: new Map(),
  fetching: null,
}
const kafka: KafkaFacts = {
  seeds: [{ address, error: null }],
  brokers: [{ address, error: null }],
  error: null,
  topic,
}
const of: JobFacts = {
  job: { name: 'rooms', topic: 'readings' },
  ledger: { topicId: 'a', next: new Map([[0, 900]]), left: true },
  acceptLoss: false,
  fresh: false,
}

/** What is not ok, as level and what. */
function wrong(facts: Partial<KafkaFacts> & { topic?: TopicFacts | null }, job = of): string[] {
  return judgeKafka({ ...kafka, ...facts }, job)
    .filter(({ level }) => level !== 'ok')
    .map(({ level, what }) => `${level} ${what}`)
}

test('a Kafka as it should be has nothing but ok', () => {
  expect(wrong({})).toEqual([])
})

describe('reach', () => {
  const down = { address: 'other.example:9092', error: 'ECONNREFUSED' }

  test('nobody answers: one finding, with each address', () => {
    const [finding, ...more] = judgeKafka({ ...kafka, seeds: [down], brokers: [], topic: null }, of)
    expect(more).toEqual([])
    expect(finding?.found).toContain('other.example:9092 (ECONNREFUSED)')
    expect(forbids(finding!)).toBe(false)
  })

  test('one of several does not answer', () => {
    expect(wrong({ seeds: [...kafka.seeds, down] })).toEqual(['warning Kafka'])
  })

  test('a broker that others are sent to can’t be reached from here', () => {
    expect(wrong({ brokers: [...kafka.brokers, down] })).toEqual(['fatal Kafka broker'])
  })

  test('a port that is open but no Kafka that we can talk to', () => {
    const findings = judgeKafka({ ...kafka, brokers: [], error: 'SASL failed', topic: null }, of)
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({
      level: 'fatal',
      todo: expect.stringContaining('KAFKA_SASL'),
    })
  })
})

describe('topic', () => {
  const settings = (change: Record<string, string>) =>
    wrong({ topic: { ...topic, settings: { ...topic.settings, ...change } } })

  test('one that is not there will be waited for', () => {
    expect(wrong({ topic: null })).toEqual(['warning topic'])
  })

  test('replicas', () => {
    const partitions = [{ ...partition, inSync: 2 }]
    expect(wrong({ topic: { ...topic, partitions } })).toEqual(['warning replicas'])
    const alone = [{ ...partition, replicas: 1, inSync: 1 }]
    expect(wrong({ topic: { ...topic, partitions: alone } })).toEqual(['hint replicas'])
  })

  test('settings', () => {
    expect(settings({ 'cleanup.policy': 'compact,delete' })).toEqual(['hint cleanup.policy'])
    expect(settings({ 'max.message.bytes': String(64 * 2 ** 20) })).toEqual([
      'hint max.message.bytes',
    ])
    expect(settings({ 'message.format.version': '0.10.2-IV0' })).toEqual(['fatal message format'])
    expect(wrong({ topic: { ...topic, settings: null } })).toEqual(['hint topic settings'])
  })

  test('brokers that are too old, and records that may not be read', () => {
    const fetching = (error: string) => wrong({ topic: { ...topic, fetching: error } })
    expect(fetching('Kafka 2.3 or newer is needed')).toEqual(['fatal Kafka version'])
    expect(fetching('TOPIC_AUTHORIZATION_FAILED for partition 0')).toEqual(['fatal topic'])
    expect(fetching('NOT_LEADER_FOR_PARTITION for partition 0')).toEqual(['fatal topic'])
  })
})

describe('ledger', () => {
  //  0        first      young           next       end
  //  |· · · · ·|─────────|────────────────|──────────|
  //   deleted    will be   safe             not read
  const cases: [string, Partial<PartitionFacts>, number, Level | null, RegExp][] = [
    ['within the log', {}, 900, null, /./],
    ['at its end', {}, 1_000, null, /./],
    ['above the high watermark', {}, 1_001, 'fatal', /ends at offset 1000.*up to 1001/],
    ['a few behind at the first offset', { first: 900, end: 901 }, 900, null, /./],
    ['below it', { first: 950 }, 900, 'fatal', /records 900 to 949 of partition 0.*readings/],
    ['old by nine tenths', { young: 940 }, 900, 'warning', /100 records.*40 of them.*168\.0 h/],
    ['young enough', { young: 900 }, 900, null, /./],
    ['old, but read', { young: 1_000 }, 1_000, null, /./],
    ['within the oldest tenth', { first: 890, end: 5_000 }, 900, 'warning', /first offset 890/],
    ['a log that begins at 0 tells nothing', { first: 0, end: 50_000 }, 900, null, /./],
  ]
  for (const [title, change, next, level, found] of cases) {
    test(title, () => {
      const job = { ...of, ledger: { ...of.ledger!, next: new Map([[0, next]]) } }
      const partitions = [{ ...partition, ...change }]
      const settings = { ...topic.settings, 'retention.bytes': '1073741824' }
      const all = judgeKafka({ ...kafka, topic: { ...topic, partitions, settings } }, job)
      const finding = all.find(({ what }) => what === 'ledger')!
      expect(finding.level).toBe(level ?? 'ok')
      expect(finding.found).toMatch(found)
    })
  }

  test('with --accept-loss a loss is a warning', () => {
    const partitions = [{ ...partition, first: 950 }]
    const facts = { topic: { ...topic, partitions } }
    expect(wrong(facts, { ...of, acceptLoss: true })).toEqual(['warning ledger'])
  })

  test('a partition that was added is no loss', () => {
    const partitions = [partition, { ...partition, partition: 1, first: 50 }]
    expect(wrong({ topic: { ...topic, partitions } })).toEqual([])
  })

  test('a topic that was made again', () => {
    expect(wrong({ topic: { ...topic, id: 'b' } })).toEqual(['fatal ledger'])
    expect(wrong({ topic: { ...topic, id: '' } })).toEqual([])
  })

  test('Redis is away: said, not guessed', () => {
    expect(wrong({}, { ...of, ledger: null })).toEqual(['hint ledger'])
  })

  const none = { topicId: null, next: new Map<number, number>(), left: false }

  test('a first start', () => {
    expect(wrong({}, { ...of, ledger: none })).toEqual([])
    // It was begun before, but there is nothing that it could have read.
    const committed = new Map([[0, 0]])
    const empty = { ...topic, committed, partitions: [{ ...partition, end: 0 }] }
    expect(wrong({ topic: empty }, { ...of, ledger: none })).toEqual([])
  })

  test('a part of the ledger that Redis has lost, with one of its shards', () => {
    const partitions = [0, 1, 2].map((number) => ({ ...partition, partition: number }))
    const shards = {
      topic: {
        ...topic,
        partitions,
        committed: new Map([
          [0, 900],
          [1, 800],
        ]),
      },
    }
    expect(wrong(shards)).toEqual(['fatal ledger'])
    expect(wrong(shards, { ...of, fresh: true })).toEqual(['warning ledger'])
    expect(judgeKafka({ ...kafka, ...shards }, of).at(-1)?.found).toMatch(
      /^Redis has lost where job rooms is in partition 1 of topic readings/,
    )
    // A partition that was added since has no offset of the job's.
    const added = {
      topic: {
        ...shards.topic,
        committed: new Map([
          [0, 900],
          [1, 0],
        ]),
      },
    }
    expect(wrong(added)).toEqual([])
  })

  test('a ledger that Redis has lost', () => {
    const committed = new Map([[0, 900]])
    const lost = { topic: { ...topic, committed } }
    expect(wrong(lost, { ...of, ledger: none })).toEqual(['fatal ledger'])
    expect(wrong(lost, { ...of, ledger: none, fresh: true })).toEqual(['warning ledger'])
    expect(wrong({}, { ...of, ledger: { ...none, left: true } })).toEqual(['fatal ledger'])
    const begun = { ...topic, committed: new Map([[0, 0]]) }
    expect(wrong({ topic: begun }, { ...of, ledger: none })).toEqual(['fatal ledger'])
    const finding = judgeKafka({ ...kafka, ...lost }, { ...of, ledger: none }).at(-1)
    expect(finding?.found).toMatch(/lost the ledger of job rooms.*up to 0:900/)
    expect(finding?.todo).toMatch(/--fresh.*--from earliest/)
  })
})
