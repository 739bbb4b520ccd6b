/**
 * The topic that is written to: made if it is missing, never by Kafka's own automatic creation, whose
 * number of partitions nobody chose.
 */
import type { Admin, Kafka } from 'kafkajs'
import { systemClock } from '../clock.ts'

export interface TopicState {
  partitions: number
  created: boolean
}

/** A broker that is busy hears of a topic that its controller has made after a while. */
const heardOf = { withinMs: 10_000, everyMs: 50 }

/** Safe to repeat. Rejects with kafkajs's errors. */
export async function ensureTopic(
  kafka: Kafka,
  topic: string,
  partitions: number,
): Promise<TopicState> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const created =
      !(await admin.listTopics()).includes(topic) &&
      (await admin.createTopics({
        topics: [{ topic, numPartitions: partitions }],
        // That would fail where the broker has not heard of its topic yet.
        waitForLeaders: false,
      }))
    // A leader that is known may not have its log yet. A produce request that some partitions refuse
    // is sent again whole, and the others would have their records twice.
    await untilHosted(admin, topic)
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return { partitions: topics[0]?.partitions.length ?? 0, created }
  } finally {
    await admin.disconnect()
  }
}

async function untilHosted(admin: Admin, topic: string): Promise<void> {
  const deadline = systemClock.elapsed() + heardOf.withinMs
  for (;;) {
    try {
      await admin.fetchTopicOffsets(topic)
      return
    } catch (error) {
      // Not known yet, or its leader does not know that it is that.
      const { name, retriable } = error as { name?: string; retriable?: boolean }
      const soon = name === 'KafkaJSProtocolError' && retriable === true
      if (!soon || systemClock.elapsed() > deadline) throw error
      await systemClock.sleep(heardOf.everyMs)
    }
  }
}
