/**
 * Load for a pipeline that something happens to: a topic filled at once, or records at a pace. The
 * shipped job's are made up; a user's own job gets the records of its sample.
 */
import type { Subprocess } from 'bun'
import { fillTopic } from '../bench/fill.ts'
import { systemClock } from '../actors/clock.ts'
import type { Pipeline } from './pipeline.ts'
import type { Feed } from './sample.ts'
import { student } from './student.ts'
import type { TestRecord } from './topic.ts'

/** How long a sample should last at a pace, and what share of it may come at once. */
const SAMPLE_SECONDS = 40
const AT_ONCE = 1 / 5
const FEED_EVERY_MS = 50
const END_TIMEOUT_MS = 120_000

/** Records over `spanMs` of event time, until now; of a sample as many as it can spare. */
export async function fill(
  pipeline: Pipeline,
  count: number,
  seed = 1,
  spanMs = 600_000,
): Promise<void> {
  const { name, kafkaBrokers } = pipeline.topic
  const { feed } = pipeline
  if (feed) {
    const share = Math.max(1, Math.floor(feed.sample.records.length * AT_ONCE))
    await feed.next(Math.min(count, share), (records) => pipeline.topic.produce(records))
    return
  }
  const config = { KAFKA_BROKERS: kafkaBrokers.split(',') }
  const filled = await fillTopic({ config, topic: name, count, seed, spanMs })
  if (filled.records !== count) throw new Error(`${filled.records} of ${count} records were sent`)
}

/** Records that keep coming. */
export interface Load {
  /** Resolves when Kafka has all that was sent. */
  end(): Promise<void>
}

/** A producer that goes on until it is ended. */
export function produce(pipeline: Pipeline, rate: number): Load {
  const { feed } = pipeline
  if (feed) return trickle(pipeline, feed, paceOf(feed, rate))
  const command = ['actors/producer/main.ts', '--topic', pipeline.topic.name, '--seed', '5']
  const child: Subprocess = pipeline.spawnBeside([...command, '--rate', String(rate)])
  return {
    async end() {
      if (child.exitCode !== null) throw new Error(`the producer ended with ${child.exitCode}`)
      child.kill('SIGTERM')
      const code = await child.exited
      // 1: Kafka has not acknowledged all, as after an outage. The topic says what it has.
      if (code !== 0 && code !== 1) {
        throw new Error(`the producer ended with ${child.signalCode ?? code}`)
      }
    },
  }
}

const paceOf = (feed: Feed, rate: number): number =>
  Math.max(1, Math.min(rate, feed.sample.records.length / SAMPLE_SECONDS))

function trickle(pipeline: Pipeline, feed: Feed, rate: number): Load {
  const ended = new AbortController()
  const startedAt = systemClock.elapsed()
  let deadline = Infinity
  const flowing = (async () => {
    for (let sent = 0; !ended.signal.aborted; ) {
      const due = Math.floor(((systemClock.elapsed() - startedAt) / 1_000) * rate) - sent
      sent += due
      if (due > 0) await feed.next(due, send)
      await systemClock.sleep(FEED_EVERY_MS, ended.signal)
    }
  })()
  // Read by `end`; a fault that never comes to that must not leave it unhandled.
  flowing.catch(() => {})
  /** Through outages: a record that Kafka then has twice is two records for everybody. */
  async function send(records: TestRecord[]): Promise<void> {
    for (;;) {
      try {
        return await pipeline.topic.produce(records)
      } catch (error) {
        if (systemClock.elapsed() > deadline) throw error
        await systemClock.sleep(500)
      }
    }
  }
  return {
    async end() {
      deadline = systemClock.elapsed() + END_TIMEOUT_MS
      ended.abort()
      await flowing
    },
  }
}

/** Records to send by hand: of the sample, or of the shipped job's form. */
export function records(pipeline: Pipeline, count: number): TestRecord[] {
  if (pipeline.feed) return pipeline.feed.take(count)
  return Array.from({ length: count }, (_, i) => ({ value: student({ lines_of_code: i }) }))
}
