/**
 * The topic that is written to: made if it is missing, never by Kafka's own automatic creation, whose
 * number of partitions nobody chose.
 */
import type { Kafka } from 'kafkajs'

export interface TopicState {
  partitions: number
  created: boolean
}

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
        waitForLeaders: true,
      }))
    // A leader that is known may not have its log yet. A produce request that some partitions refuse
    // is sent again whole, and the others would have their records twice.
    await admin.fetchTopicOffsets(topic)
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return { partitions: topics[0]?.partitions.length ?? 0, created }
  } finally {
    await admin.disconnect()
  }
}
