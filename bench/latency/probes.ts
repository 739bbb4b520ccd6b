/**
 * Probes: marked records beside the load, each with a course of its own, which the job makes a group
 * of its own of. So a probe's effect is one field of one pane, which is there from the moment of its
 * commit on (the commit function is atomic) and not before, whatever else is committed.
 *
 *   produced (handed to the producer) → acknowledged … → visible (the write of its pane is heard of)
 *   → read back (an HMGET of the pane has found it)
 *
 * All is timed by one process's clock, with fractions of a millisecond. Redis notifies of each write
 * to a pane (keyspace notifications, about a microsecond for each write to a hash, where polling once a
 * millisecond costs a tenth of a core), and the pane is looked at then. A probe that the look finds was
 * visible when the last write was heard of that was heard of by the look's answer: never too early, and too
 * late by the notification's way, which the stages tell (`committed → visible`). Probes leave open loop: none
 * waits for the one before.
 */
import { seededRandom, systemClock } from '../../actors/clock.ts'
import type { Config } from '../../actors/config.ts'
import type { Job, Meta } from '../../actors/job.ts'
import { kafkaClient } from '../../actors/kafka-client.ts'
import { createLog } from '../../actors/log.ts'
import { rememberingPartitioner } from '../../actors/producer/partitioner.ts'
import { openStore, type Store, untilReady } from '../../actors/redis.ts'
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
  readBackAt: number
}

export interface ProbeOptions {
  config: Config
  job: Job
  pipeline: Pipeline
  partitions: number
}

/** A notification that is lost with its connection must not cost a probe. */
const LOOK_EVERY_MS = 200
/** How long probes are waited for that are not visible yet. */
const GIVE_UP_MS = 20_000

export class Probes {
  readonly #options: ProbeOptions
  readonly #send: Sending
  readonly #notices: Store
  readonly #end: () => Promise<void>
  readonly #underWay = new Set<Probe>()
  #sent = 0
  #looking = false
  #lookAgain = false
  /** When a write was heard of last, since the last look began. */
  #heardAt: number | null = null

  private constructor(
    options: ProbeOptions,
    send: Sending,
    notices: Store,
    end: () => Promise<void>,
  ) {
    this.#options = options
    this.#send = send
    this.#notices = notices
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
    const notices = openStore(options.config, createLog('probes', 'error'))
    const probes = new Probes(options, send, notices, () => producer.disconnect())
    await probes.#listen()
    return probes
  }

  async #listen(): Promise<void> {
    const { redis } = this.#notices
    await untilReady(this.#notices)
    await redis.config('SET', 'notify-keyspace-events', 'Kh')
    redis.on('pmessage', () => {
      this.#heardAt = systemClock.elapsed()
      this.#written()
    })
    await redis.psubscribe(`__keyspace@0__:${this.#options.pipeline.keys.base}:pane:*`)
  }

  async close(): Promise<void> {
    await Promise.all([this.#end(), this.#notices.close()])
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
    const looks = setInterval(() => this.#written(), LOOK_EVERY_MS)
    for (let dueMs = 0; dueMs < seconds * 1_000; dueMs += meanMs * (0.5 + random())) {
      await systemClock.sleep(Math.max(0, start + dueMs - systemClock.elapsed()))
      const { probe, sent } = this.#produce()
      probes.push(probe)
      sending.push(sent)
    }
    await Promise.all(sending)
    const deadline = systemClock.elapsed() + GIVE_UP_MS
    while (this.#underWay.size > 0 && systemClock.elapsed() < deadline) await systemClock.sleep(5)
    clearInterval(looks)
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
      pane: paneStart(job, job.eventTime(record, {} as Meta)),
      group: JSON.stringify([course, record.activity]),
      partition,
      offset: Number.NaN,
      producedAt: systemClock.elapsed(),
      acknowledgedAt: Number.NaN,
      visibleAt: Number.NaN,
      readBackAt: Number.NaN,
    }
    this.#underWay.add(probe)
    const sent = this.#send(JSON.stringify(record), partition, now).then((offset) => {
      probe.acknowledgedAt = systemClock.elapsed()
      probe.offset = offset
    })
    return { probe, sent }
  }

  /** Looks at once, or again when the look that is under way has ended. */
  #written(): void {
    this.#lookAgain = true
    if (this.#looking || this.#underWay.size === 0) return
    this.#looking = true
    this.#lookOn()
      .catch(() => {
        // The next write, or the next look by the clock, asks again.
      })
      .finally(() => (this.#looking = false))
  }

  async #lookOn(): Promise<void> {
    while (this.#lookAgain && this.#underWay.size > 0) {
      this.#lookAgain = false
      await this.#look()
    }
  }

  async #look(): Promise<void> {
    const { store, keys } = this.#options.pipeline
    const panes = Map.groupBy(this.#underWay, ({ pane }) => pane)
    // Without one it is the clock that has us look: a notification may be lost with its connection.
    const cause = this.#heardAt
    this.#heardAt = null
    await Promise.all(
      Array.from(panes, async ([pane, probes]) => {
        const cells = await store.redis.hmget(keys.pane(pane), ...probes.map(({ group }) => group))
        const readBackAt = systemClock.elapsed()
        // The notification of what was found may lie behind the answer, in another socket.
        await new Promise(setImmediate)
        const visibleAt = this.#heardAt ?? cause ?? readBackAt
        for (const [index, probe] of probes.entries()) {
          if (cells[index] === null) continue
          Object.assign(probe, { visibleAt, readBackAt })
          this.#underWay.delete(probe)
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

/** Production until it was read back. */
export const readBackOf = (probe: Probe, now: number): number =>
  (isSeen(probe) ? probe.readBackAt : now) - probe.producedAt
