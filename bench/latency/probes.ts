/**
 * Probes: marked records beside the load, each with a course of its own, which the job makes a group
 * of its own of. So a probe's effect is one field of one pane, which is there from the moment of its
 * commit on (the commit function is atomic) and not before, whatever else is committed.
 *
 *   produced (handed to the producer) → acknowledged … → visible (an HMGET of the pane finds it)
 *
 * All is timed by one process's clock, with fractions of a millisecond. The panes are looked at about
 * once a millisecond, only while a probe is under way; a probe is told to be visible when the look
 * that found it has answered, so what is told is never too short, and `blindMs` says by how much it
 * can be too long. Probes leave open loop: none waits for the one before.
 */
import { seededRandom, systemClock } from '../../actors/clock.ts'
import type { Config } from '../../actors/config.ts'
import type { Job } from '../../actors/job.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { rememberingPartitioner } from '../../actors/producer/partitioner.ts'
import { paneStart } from '../../actors/windows/windows.ts'
import type { Pipeline } from '../pipeline.ts'

/** Times in ms since `performance.timeOrigin`; NaN for what has not happened. */
export interface Probe {
  pane: number
  group: string
  partition: number
  offset: number
  producedAt: number
  acknowledgedAt: number
  visibleAt: number
  /** When the last look began that did not find it. */
  notBefore: number
}

export interface ProbeOptions {
  config: Config
  job: Job
  pipeline: Pipeline
  partitions: number
}

/** Probes under way at which the panes are looked at less often: then milliseconds do not matter. */
const CROWD = 50
const lookEveryMs = { few: 1, crowd: 10 }
/** How long probes are waited for that are not visible yet. */
const GIVE_UP_MS = 20_000

export class Probes {
  readonly #options: ProbeOptions
  readonly #send: Sending
  readonly #end: () => Promise<void>
  readonly #underWay = new Set<Probe>()
  #sent = 0

  private constructor(options: ProbeOptions, send: Sending, end: () => Promise<void>) {
    this.#options = options
    this.#send = send
    this.#end = end
  }

  static async open(options: ProbeOptions): Promise<Probes> {
    const kafka = kafkaClient(options.config, 'millrace-probes')
    const producer = kafka.producer({
      createPartitioner: rememberingPartitioner,
      allowAutoTopicCreation: false,
    })
    await producer.connect()
    const { topic } = options.job
    const send: Sending = async (value, partition, timestamp) => {
      const messages = [{ key: 'probe', value, partition, timestamp: String(timestamp) }]
      const [answer] = await producer.send({ topic, messages, acks: -1 })
      return Number(answer?.baseOffset)
    }
    return new Probes(options, send, () => producer.disconnect())
  }

  close(): Promise<void> {
    return this.#end()
  }

  /**
   * Sends probes, `perSecond` on the average, for `seconds`; resolves with them when all are visible,
   * or given up. Gaps vary between half and one and a half of the mean: nothing else that happens
   * once in so and so long can keep in step with them.
   */
  async run(perSecond: number, seconds: number, random = seededRandom(1)): Promise<Probe[]> {
    const probes: Probe[] = []
    const meanMs = 1_000 / perSecond
    const start = systemClock.elapsed()
    const sending: Promise<void>[] = []
    const over = new AbortController()
    const watching = this.#watch(over.signal)
    for (let dueMs = 0; dueMs < seconds * 1_000; dueMs += meanMs * (0.5 + random())) {
      await systemClock.sleep(Math.max(0, start + dueMs - systemClock.elapsed()))
      const { probe, sent } = this.#produce()
      probes.push(probe)
      sending.push(sent)
    }
    await Promise.all(sending)
    const deadline = systemClock.elapsed() + GIVE_UP_MS
    while (this.#underWay.size > 0 && systemClock.elapsed() < deadline) await systemClock.sleep(5)
    over.abort()
    await watching
    this.#underWay.clear()
    return probes
  }

  #produce(): { probe: Probe; sent: Promise<void> } {
    const { job, partitions } = this.#options
    const course = `probe ${this.#sent}`
    const partition = this.#sent % partitions
    this.#sent++
    // Kafka's timestamp is in whole milliseconds, as the producers' of the load.
    const now = systemClock.now()
    const record = probeRecord(course, now)
    const probe: Probe = {
      pane: paneStart(job, job.eventTime(record)),
      group: JSON.stringify([course, record.activity]),
      partition,
      offset: Number.NaN,
      producedAt: systemClock.elapsed(),
      acknowledgedAt: Number.NaN,
      visibleAt: Number.NaN,
      notBefore: Number.NaN,
    }
    probe.notBefore = probe.producedAt
    this.#underWay.add(probe)
    const sent = this.#send(JSON.stringify(record), partition, now).then((offset) => {
      probe.acknowledgedAt = systemClock.elapsed()
      probe.offset = offset
    })
    return { probe, sent }
  }

  async #watch(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      if (this.#underWay.size > 0) await this.#look()
      const { few, crowd } = lookEveryMs
      await systemClock.sleep(this.#underWay.size > CROWD ? crowd : few, over)
    }
  }

  async #look(): Promise<void> {
    const { store, keys } = this.#options.pipeline
    const panes = Map.groupBy(this.#underWay, ({ pane }) => pane)
    const began = systemClock.elapsed()
    await Promise.all(
      Array.from(panes, async ([pane, probes]) => {
        const cells = await store.redis.hmget(keys.pane(pane), ...probes.map(({ group }) => group))
        const at = systemClock.elapsed()
        for (const [index, probe] of probes.entries()) {
          if (cells[index] === null) probe.notBefore = began
          else {
            probe.visibleAt = at
            this.#underWay.delete(probe)
          }
        }
      }),
    )
  }
}

/** Resolves with the record's offset when Kafka has acknowledged it. */
type Sending = (value: string, partition: number, timestamp: number) => Promise<number>

/** A record of the shipped job, event time in epoch ms. */
function probeRecord(course: string, at: number) {
  return {
    timestamp: at / 1_000,
    student_id: 'CS-2021000',
    student_name: 'Probe',
    course,
    activity: 'reading_docs',
    tool_used: 'VS Code',
    lines_of_code: 0,
    last_error: null,
    cpu_usage_pct: 10.5,
  }
}

export const isSeen = ({ visibleAt }: Probe): boolean => !Number.isNaN(visibleAt)

/** Production to visibility; of one that was given up, what it had waited by `now`. */
export const delayOf = (probe: Probe, now: number): number =>
  (isSeen(probe) ? probe.visibleAt : now) - probe.producedAt

/** How much later than it happened its visibility may have been seen. */
export const blindMs = (probe: Probe): number => probe.visibleAt - probe.notBefore
