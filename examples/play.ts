/**
 * `bun examples/play.ts NAME`: an example's sample as if it happened now: most of it at once, as what
 * has happened already, the rest at its own pace.
 *
 *   sample → event times moved, so that it ends in N seconds → past ones, then each when it is due → Kafka
 */
import { Partitioners, type Producer } from 'kafkajs'
import { type Clock, systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { kafkaClient, kafkaMessage } from '../actors/kafka-client.ts'
import { loadJob } from '../actors/load.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import { Chance } from '../faults/simulation/chance.ts'
import { exampleNames, jobFileOf, samples } from './samples/all.ts'
import { type Sample, sampleSeed } from './samples/sample.ts'

const command = {
  help: `
Usage: bun examples/play.ts ${exampleNames.join('|')} [--seconds N]

Sends an example's sample to its topic as if it happened now, and ends. The topic is made where there is none.

  --seconds N   how much of it is still to come, and comes at its own pace (30)
  --help        this text

Kafka's address is taken from KAFKA_BROKERS (127.0.0.1:9092), as are KAFKA_SSL and KAFKA_SASL_*.`,
  options: { seconds: { type: 'string' } },
  positionals: ['NAME'],
} as const

const partitions = 4
/** Records that are due within this go together. */
const stepMs = 200

await runMain('play', async () => {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const seconds = wholeNumberFlag('seconds', values.seconds, { from: 0, to: 600 }) ?? 30
  const name = exampleNames.find((one) => one === positionals[0])
  if (!name) {
    const given = positionals[0] === undefined ? 'nothing' : JSON.stringify(positionals[0])
    throw new UsageError(`NAME must be one of ${exampleNames.join(', ')}, not ${given}`)
  }
  const { topic } = await loadJob(jobFileOf(name))
  const kafka = kafkaClient(readConfig(), 'millrace-play')
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  try {
    await ensureTopic(kafka, topic, partitions)
    await producer.connect()
    const sent = await play(samples[name], { producer, topic, clock: systemClock, seconds })
    console.log(`${sent} records to ${topic}`)
  } catch (error) {
    throw new RefusalError(`topic ${topic}: ${kafkaMessage(error)}`, { cause: error })
  } finally {
    await producer.disconnect()
  }
  return 0
})

interface Playing {
  producer: Producer
  topic: string
  clock: Clock
  seconds: number
}

async function play(sample: Sample, { producer, topic, clock, seconds }: Playing) {
  const records = sample.make(new Chance(sampleSeed))
  const end = Math.max(...records.map((record) => sample.time(record)))
  const laterMs = clock.now() + seconds * 1_000 - end
  let sent = 0
  while (sent < records.length) {
    const rest = records.slice(sent)
    const soon = clock.now() - laterMs + stepMs
    const behind = rest.findIndex((record) => sample.time(record) > soon)
    const due = rest.slice(0, behind < 0 ? rest.length : behind)
    const messages = due.map((record, i) => ({
      value: JSON.stringify(sample.at(record, sample.time(record) + laterMs)),
      partition: (sent + i) % partitions,
    }))
    if (messages.length > 0) await producer.send({ topic, messages })
    sent += messages.length
    await clock.sleep(stepMs)
  }
  return sent
}
