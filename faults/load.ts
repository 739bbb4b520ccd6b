/**
 * Load for a pipeline that something happens to: a topic filled at once, or records at a pace.
 */
import type { Subprocess } from 'bun'
import { fillTopic } from '../bench/fill.ts'
import type { Pipeline } from './pipeline.ts'

/** The shipped job's records, over 10 minutes of event time. */
export async function fill(pipeline: Pipeline, count: number, seed = 1): Promise<void> {
  const { name, kafkaBrokers } = pipeline.topic
  const config = { KAFKA_BROKERS: kafkaBrokers.split(',') }
  const filled = await fillTopic({ config, topic: name, count, seed, spanMs: 600_000 })
  if (filled.records !== count) throw new Error(`${filled.records} of ${count} records were sent`)
}

/** Records that keep coming. */
export interface Load {
  /** Resolves when Kafka has all that was sent. */
  end(): Promise<void>
}

/** A producer that goes on until it is ended. */
export function produce(pipeline: Pipeline, rate: number): Load {
  const command = ['actors/producer/main.ts', '--topic', pipeline.topic.name, '--seed', '5']
  const child: Subprocess = pipeline.spawnBeside([...command, '--rate', String(rate)])
  return {
    async end() {
      child.kill('SIGTERM')
      const code = await child.exited
      if (code !== 0) throw new Error(`the producer ended with ${child.signalCode ?? code}`)
    },
  }
}
