import { expect, test } from 'bun:test'
import { readThrough } from '../../bench/warm.ts'
import { readConfig } from '../../actors/config.ts'
import { createTopic } from '../../faults/topic.ts'
import { testServices } from '../support/services.ts'

test('every record of every partition is read once', async () => {
  const { environment, kafkaBrokers } = await testServices()
  const topic = await createTopic('bench-warm', { partitions: 3, kafkaBrokers })
  try {
    expect(await readThrough(readConfig(environment), topic.name)).toBe(0)
    for (let i = 0; i < 5; i++) await topic.produce(['a', 'b', 'c', 'd'].map((text) => text + i))
    expect(await readThrough(readConfig(environment), topic.name)).toBe(20)
  } finally {
    await topic.delete()
  }
}, 120_000)
