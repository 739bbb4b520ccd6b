/**
 * What the supervisor measured, once a second, kept in a bounded stream for a back-test: which count
 * of executors each policy would have chosen for this load (`bun run simulate --replay`).
 *
 *   measurement, fleet → Recorder → stream `measurements` → readSamples
 *
 * While nothing happens it is recorded only now and then. The last look before something happened is
 * then written too, so that a record that came after a long silence is not taken to have come slowly.
 */
import * as v from 'valibot'
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import type { Store } from '../actors/redis.ts'
import type { Observation } from './backlog.ts'
import type { Fleet, Policy } from './reasons.ts'

export interface Sample {
  /** Epoch ms, by the leader's clock. */
  at: number
  /** Counters since the job began; null where Kafka's end was not known. */
  arrived: number | null
  committed: number
  busyUs: number
  waiting: number
  kafkaLag: number | null
  /** Executors at work, and wanted. */
  running: number
  target: number
  min: number
  max: number
  policy: string
}

const numeric = v.pipe(v.string(), v.regex(/^\d+(\.\d+)?$/), v.transform(Number))
const unknown = v.pipe(
  v.literal(''),
  v.transform(() => null),
)

const sampleSchema = v.object({
  at: numeric,
  arrived: v.union([unknown, numeric]),
  committed: numeric,
  busyUs: numeric,
  waiting: numeric,
  kafkaLag: v.union([unknown, numeric]),
  running: numeric,
  target: numeric,
  min: numeric,
  max: numeric,
  policy: v.string(),
})

/** Entries of one read of the stream. */
const PAGE = 5_000

export class Recorder {
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #kept: number
  #writtenAt = -Infinity
  #last: Sample | null = null
  /** A look at which nothing happened and that was not written. */
  #skipped: Sample | null = null

  constructor(store: Store, keys: Keys, clock: Clock, kept: number = bounds.measurementsKept) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.#kept = kept
  }

  /** Writes what is due; rejects on an outage, in which a sample is missing and no more. */
  async record(observation: Observation, fleet: Fleet, policy: Policy): Promise<void> {
    const since = this.#clock.elapsed() - this.#writtenAt
    if (!observation.known || since < bounds.measureEveryMs) return
    const sample = sampleOf(observation, fleet, policy)
    const silent = this.#last !== null && isSilent(this.#last) && isSilent(sample)
    if (silent && sample.arrived === this.#last?.arrived && since < bounds.measureSilentEveryMs) {
      this.#skipped = sample
      return
    }
    const due = this.#skipped && !silent ? [this.#skipped, sample] : [sample]
    this.#skipped = null
    this.#writtenAt = this.#clock.elapsed()
    this.#last = sample
    for (const one of due) await this.#write(one)
  }

  async #write(sample: Sample): Promise<void> {
    const fields = Object.entries(sample).flatMap(([name, value]) => [name, value ?? ''])
    const { measurements } = this.#keys
    await this.#store.redis.xadd(measurements, 'MAXLEN', '~', this.#kept, '*', ...fields)
  }
}

/** All samples that are kept, oldest first; what another version wrote is left out. */
export async function readSamples(store: Store, keys: Keys): Promise<Sample[]> {
  const samples: Sample[] = []
  let from = '-'
  for (;;) {
    const page = await store.redis.xrange(keys.measurements, from, '+', 'COUNT', PAGE)
    for (const [, fields] of page) {
      const parsed = v.safeParse(sampleSchema, Object.fromEntries(pairs(fields)))
      if (parsed.success) samples.push(parsed.output)
    }
    if (page.length < PAGE) return samples
    from = `(${page.at(-1)![0]}`
  }
}

/** Nobody works and nothing waits. */
export const isSilent = ({ running, target, waiting, kafkaLag }: Sample): boolean =>
  running === 0 && target === 0 && waiting === 0 && kafkaLag === 0

function sampleOf(
  observation: Observation & { known: true },
  fleet: Fleet,
  policy: Policy,
): Sample {
  const { at, arrived, committed, busyUs, waiting, kafkaLag } = observation
  const { running, target, min, max } = fleet
  return { at, arrived, committed, busyUs, waiting, kafkaLag, running, target, min, max, policy }
}

const pairs = (fields: readonly string[]) =>
  fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1] ?? '']] : []))
