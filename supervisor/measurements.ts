/**
 * What the supervisor measured, once a second, kept in a bounded stream: for the page's charts, and for
 * a back-test of which count of executors each policy would have chosen (`bun run simulate --replay`).
 *
 *   measurement, fleet, snapshot → Recorder → stream `measurements` → readSamples
 *
 * While nothing happens it is recorded only now and then. The last look before something happened is
 * then written too, so that a record that came after a long silence is not taken to have come slowly.
 */
import * as v from 'valibot'
import type { Clock } from '../actors/clock.ts'
import { bounds } from '../actors/config.ts'
import type { Keys } from '../actors/keys.ts'
import type { Snapshot } from '../actors/measure.ts'
import type { Store } from '../actors/redis.ts'
import type { Observation } from './backlog.ts'
import { delayQuantiles } from './latency.ts'
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
  /** Epoch ms; null before the first. */
  watermark: number | null
  /** Delays in ms of what was committed since the sample before; null where nothing was. */
  resultP50: number | null
  resultP99: number | null
  eventP50: number | null
  eventP99: number | null
}

const amount = v.pipe(v.number(), v.finite(), v.minValue(0))
const unknownOr = v.nullable(amount)

const entries = {
  at: amount,
  arrived: unknownOr,
  committed: amount,
  busyUs: amount,
  waiting: amount,
  kafkaLag: unknownOr,
  running: amount,
  target: amount,
  min: amount,
  max: amount,
  policy: v.string(),
}
const delayEntries = {
  watermark: v.nullable(v.number()),
  resultP50: unknownOr,
  resultP99: unknownOr,
  eventP50: unknownOr,
  eventP99: unknownOr,
}

/** A sample as the stream holds it: a day of them is read in a fraction of the time as one array each. */
const packedSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.strictTuple([...Object.values(entries), ...Object.values(delayEntries)] as const),
)
const names = [...Object.keys(entries), ...Object.keys(delayEntries)] as (keyof Sample)[]

/** A sample in a file of JSON lines; recordings from before delays were measured have none. */
export const sampleSchema = v.object({
  ...entries,
  watermark: v.optional(delayEntries.watermark, null),
  resultP50: v.optional(unknownOr, null),
  resultP99: v.optional(unknownOr, null),
  eventP50: v.optional(unknownOr, null),
  eventP99: v.optional(unknownOr, null),
})

const FIELD = 's'
/** Entries of one read of the stream. */
const PAGE = 2_000

export class Recorder {
  readonly #store: Store
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #kept: number
  #writtenAt = -Infinity
  #last: Sample | null = null
  /** A look at which nothing happened and that was not written. */
  #skipped: Sample | null = null
  /** The actors of the sample before, from which delays are counted. */
  #before: Snapshot['actors'] | null = null

  constructor(store: Store, keys: Keys, clock: Clock, kept: number = bounds.measurementsKept) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.#kept = kept
  }

  /** Writes what is due; rejects on an outage, in which a sample is missing and no more. */
  async record(
    observation: Observation,
    fleet: Fleet,
    policy: Policy,
    { watermark, actors }: Pick<Snapshot, 'watermark' | 'actors'>,
  ): Promise<void> {
    const since = this.#clock.elapsed() - this.#writtenAt
    if (!observation.known || since < bounds.measureEveryMs) return
    const delays = delaysOf(this.#before, actors)
    const sample = { ...sampleOf(observation, fleet, policy), watermark, ...delays }
    this.#before = actors
    const silent = this.#last !== null && isSilent(this.#last) && isSilent(sample)
    if (silent && sample.arrived === this.#last?.arrived && since < bounds.measureSilentEveryMs) {
      this.#skipped = sample
      return
    }
    const due = this.#skipped && !silent ? [this.#skipped, sample] : [sample]
    this.#skipped = null
    this.#writtenAt = this.#clock.elapsed()
    this.#last = sample
    for (const one of due) await keepSample(this.#store, this.#keys, one, this.#kept)
  }
}

/** Appends a sample; of more than `kept` the oldest go. */
export async function keepSample(
  store: Store,
  keys: Keys,
  sample: Sample,
  kept: number = bounds.measurementsKept,
): Promise<void> {
  const packed = JSON.stringify(names.map((name) => sample[name]))
  await store.redis.xadd(keys.measurements, 'MAXLEN', '~', kept, '*', FIELD, packed)
}

/**
 * The samples that were written from `from` on (epoch ms, Redis's clock; all that are kept where it is
 * absent), oldest first; what another version wrote is left out.
 */
export async function readSamples(store: Store, keys: Keys, from?: number): Promise<Sample[]> {
  const samples: Sample[] = []
  let bound = from === undefined ? '-' : String(Math.max(0, Math.floor(from)))
  for (;;) {
    const page = await store.redis.xrange(keys.measurements, bound, '+', 'COUNT', PAGE)
    for (const [, [field, packed]] of page) {
      const parsed = field === FIELD ? v.safeParse(packedSchema, packed) : null
      if (parsed?.success) samples.push(unpacked(parsed.output))
    }
    if (page.length < PAGE) return samples
    bound = `(${page.at(-1)![0]}`
  }
}

const unpacked = (values: readonly unknown[]): Sample =>
  Object.fromEntries(names.map((name, i) => [name, values[i]])) as unknown as Sample

/** Nobody works and nothing waits. */
export const isSilent = ({ running, target, waiting, kafkaLag }: Sample): boolean =>
  running === 0 && target === 0 && waiting === 0 && kafkaLag === 0

function sampleOf(observation: Observation & { known: true }, fleet: Fleet, policy: Policy) {
  const { at, arrived, committed, busyUs, waiting, kafkaLag } = observation
  const { running, target, min, max } = fleet
  return { at, arrived, committed, busyUs, waiting, kafkaLag, running, target, min, max, policy }
}

function delaysOf(before: Snapshot['actors'] | null, now: Snapshot['actors']) {
  const result = delayQuantiles(before, now, 'delays')
  const event = delayQuantiles(before, now, 'eventDelays')
  return {
    resultP50: result.p50,
    resultP99: result.p99,
    eventP50: event.p50,
    eventP99: event.p99,
  }
}
