/**
 * A load at a pace for benchmarks, at little cost of its own: records of the shipped job, made once
 * and used again and again with the time of their sending, in batches as a producer with a linger of
 * 5 ms makes them. Speaks to the first broker of KAFKA_BROKERS, which must lead all partitions.
 *
 *   due → record batches → one produce request → acknowledged
 *
 *   bun bench/load.ts --rate 100000
 */
import studentsJob from '../jobs/students.ts'
import { seededRandom, systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { steadyPace } from '../actors/producer/pace.ts'
import { bodyMaker } from '../actors/producer/records.ts'
import { groupedBodyMaker } from './growth/records.ts'
import { encodeBatch, produceRequest, refusalsOf, type Template, templateOf } from './load/batch.ts'

const command = {
  help: `
bun bench/load.ts --rate N [options]

Writes records of the shipped job into a topic that is there, at a rate, until SIGINT or SIGTERM.

  --rate N         records a second, up to 1,000,000
  --topic NAME     default: ${studentsJob.topic}
  --partitions N   that the topic has (4)
  --groups N       different groups (25, those of the shipped job's records)
  --help           this text`,
  options: {
    rate: { type: 'string' },
    topic: { type: 'string' },
    partitions: { type: 'string' },
    groups: { type: 'string' },
  },
} as const

const BODIES = 8_192
/** Records of one request. */
const DUE_MAX = 10_000
const TICK_MS = 5
/** Requests without an answer: a Kafka that is behind is not given more. */
const IN_FLIGHT_MAX = 64
const STOP_GRACE_MS = 5_000

/** A connection to the broker. */
class Broker {
  acknowledged = 0
  failure: Error | null = null
  /** Records of each request whose answer has not come; answers come in order. */
  readonly waiting: number[] = []
  #rest: Buffer = Buffer.alloc(0)
  #unsent: Buffer = Buffer.alloc(0)
  #socket: Bun.Socket | null = null

  static async open(address: string): Promise<Broker> {
    const broker = new Broker()
    const [hostname, port] = address.split(':') as [string, string]
    const lost = () => (broker.failure ??= new RefusalError(`${address} has closed the connection`))
    broker.#socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data: (_, bytes) => broker.#heard(bytes),
        drain: () => broker.#write(broker.#unsent),
        close: () => void lost(),
      },
    })
    return broker
  }

  send(request: Buffer, records: number): void {
    this.waiting.push(records)
    this.#write(this.#unsent.length > 0 ? Buffer.concat([this.#unsent, request]) : request)
  }

  close(): void {
    this.#socket?.end()
  }

  #write(bytes: Buffer): void {
    const written = Math.max(0, this.#socket!.write(bytes))
    this.#unsent = bytes.subarray(written)
  }

  #heard(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
      const end = 4 + this.#rest.readInt32BE(0)
      const refused = refusalsOf(this.#rest.subarray(4, end))
      const records = this.waiting.shift()!
      if (refused.length === 0) this.acknowledged += records
      else this.failure ??= new RefusalError(`Kafka refused records with the code ${refused[0]}`)
      this.#rest = this.#rest.subarray(end)
    }
  }
}

await runMain('load', async () => {
  const { values } = parseFlags(command)
  const rate = wholeNumberFlag('rate', values.rate, { from: 1, to: 1_000_000 })
  if (rate === undefined) throw new UsageError('--rate is missing; see --help')
  const partitions = wholeNumberFlag('partitions', values.partitions, { from: 1, to: 64 }) ?? 4
  const groups = wholeNumberFlag('groups', values.groups, { from: 5, to: 100_000 }) ?? null
  const broker = await Broker.open(readConfig().KAFKA_BROKERS[0]!)
  const seconds = await send(broker, {
    rate,
    partitions,
    groups,
    topic: values.topic ?? studentsJob.topic,
  })
  broker.close()
  const pace = Math.round(broker.acknowledged / seconds).toLocaleString('en')
  process.stdout.write(`${broker.acknowledged.toLocaleString('en')} records (${pace}/s)\n`)
  return broker.waiting.length > 0 ? 1 : 0
})

interface Plan {
  rate: number
  partitions: number
  /** Null: the shipped job's own. */
  groups: number | null
  topic: string
}

async function send(broker: Broker, { rate, partitions, groups, topic }: Plan): Promise<number> {
  const signal = stopSignal()
  const random = seededRandom(1)
  const body = groups === null ? bodyMaker(random) : groupedBodyMaker(random, groups)
  const templates = Array.from({ length: BODIES }, () => templateOf(body()))
  const pace = steadyPace(rate)
  const started = systemClock.elapsed()
  for (let sent = 0, request = 0; !signal.aborted; ) {
    if (broker.failure) throw broker.failure
    const elapsedMs = systemClock.elapsed() - started
    const room = broker.waiting.length < IN_FLIGHT_MAX
    const due = room ? pace.take(elapsedMs, DUE_MAX) : 0
    if (due > 0) {
      const batches = batchesOf(templates, sent, due, partitions)
      broker.send(produceRequest(request++, topic, batches), due)
      sent += due
    }
    await systemClock.sleep(Math.max(pace.nextMs() - elapsedMs, TICK_MS), signal)
  }
  const ended = systemClock.elapsed()
  const deadline = ended + STOP_GRACE_MS
  while (broker.waiting.length > 0 && systemClock.elapsed() < deadline) await systemClock.sleep(5)
  return (ended - started) / 1_000
}

/** The partitions take the records in turn. */
function batchesOf(
  templates: readonly Template[],
  first: number,
  count: number,
  partitions: number,
): Map<number, Buffer> {
  const now = systemClock.now()
  const parts = new Map<number, Template[]>()
  for (let index = first; index < first + count; index++) {
    const part = parts.get(index % partitions) ?? []
    part.push(templates[index % templates.length]!)
    parts.set(index % partitions, part)
  }
  return new Map(Array.from(parts, ([partition, part]) => [partition, encodeBatch(part, now)]))
}

function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => controller.abort())
  }
  return controller.signal
}
