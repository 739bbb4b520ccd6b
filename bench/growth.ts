/**
 * How the CPU of a record grows: by the rate, the groups, the windows that overlap, the partitions,
 * the size of a record, the executors; one of them at a time, all else as in growth/series.ts.
 *
 *   own Kafka and Redis → for each point: fill a topic → run the job over it → CPU by process → charts
 *
 * CPU is the kernel's own account, in ticks of 10 ms: of a run of a second that is 1 %. Runs over a
 * filled topic leave Kafka's part in taking the records out; those at an offered rate have it in.
 *
 *   bun bench/growth.ts --svg docs/growth --json growth.json
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom, systemClock } from '../actors/clock.ts'
import { type Config, readConfig } from '../actors/config.ts'
import { messageOf, runMain } from '../actors/errors.ts'
import { kafkaClient } from '../actors/kafka-client.ts'
import { print } from '../actors/output.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import { fillTopic } from './fill.ts'
import { chartSvg } from './growth/chart.ts'
import { type Options, readOptions } from './growth/options.ts'
import { playFilled, playOffered, type Run } from './growth/play.ts'
import { groupedBodyMaker, paddedBodyMaker } from './growth/records.ts'
import { chartOf, paceOf, type Result, seriesText, sumOf, toJson } from './growth/report.ts'
import { allSeries, base, countOf, type Series, type Setting, topicOf } from './growth/series.ts'
import { machineFacts, machineText } from './machine.ts'
import { type Own, withOwn } from './own.ts'
import { versionsOf } from './versions.ts'

/** Of one topic: what Kafka's page cache holds beside everything else. */
const TOPIC_BYTES_MAX = 2_100_000_000
/** Of event time over all records of a topic: 12 panes of the shipped job. */
const SPAN_MS = 60_000

/** Records in Kafka, for as long as runs need them. */
class Records {
  readonly #config: Config
  readonly #count: number
  readonly #signal: AbortSignal
  readonly #held = new Set<string>()

  constructor({ services, stopping }: Own, count: number) {
    this.#config = readConfig({ ...services.environment })
    this.#count = count
    this.#signal = stopping
  }

  /** Fills the setting's topic, unless it is; answers with how many records it holds. */
  async fill(setting: Setting): Promise<number> {
    const topic = topicOf(setting)
    const count = countOf(setting, this.#count, TOPIC_BYTES_MAX)
    if (this.#held.has(topic)) return count
    const { partitions } = setting
    const common = { config: this.#config, topic, count, partitions, signal: this.#signal }
    await fillTopic({ ...common, spanMs: SPAN_MS, ...bodiesOf(setting) })
    this.#signal.throwIfAborted()
    this.#held.add(topic)
    return count
  }

  /** A topic without a record. */
  async empty(setting: Setting): Promise<void> {
    const kafka = kafkaClient(this.#config, 'millrace-growth')
    await ensureTopic(kafka, topicOf(setting), setting.partitions)
  }

  async drop(setting: Setting): Promise<void> {
    const admin = kafkaClient(this.#config, 'millrace-growth').admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [topicOf(setting)] })
    await admin.disconnect()
    this.#held.delete(topicOf(setting))
  }
}

await runMain('growth', async () => {
  const options = readOptions()
  const machine = machineFacts()
  return withOwn(async (own) => {
    const versions = await versionsOf(own.services)
    const records = new Records(own, options.count)
    const results: Result[] = []
    // A Kafka that is new still compiles itself: the first run is nobody's.
    await playOnce(own, records, base, options.seconds)
    for (const name of options.series) {
      const result = await playSeries(own, records, allSeries[name], options)
      results.push(result)
      print(`\n${seriesText(result)}`)
      if (options.svg !== undefined) await draw(options.svg, result)
    }
    print(`\n${machineText(machine, versions)}`)
    const at = new Date(systemClock.now()).toISOString()
    const told = { at, machine, versions, options, series: results.map(toJson) }
    if (options.json) await Bun.write(options.json, `${JSON.stringify(told, null, 2)}\n`)
    return 0
  })
})

function bodiesOf({ groups, recordBytes }: Setting) {
  const random = seededRandom(2)
  if (recordBytes !== null) return { body: paddedBodyMaker(random, recordBytes) }
  // So many groups are not among bodies that are made once.
  if (groups !== null) return { body: groupedBodyMaker(random, groups), bodies: null }
  return {}
}

/** A run that fails is a line, and the others go on. */
async function playSeries(
  own: Own,
  records: Records,
  series: Series,
  { rounds, seconds }: Options,
): Promise<Result> {
  const points: Result['points'] = []
  for (const { x, setting } of series.points) {
    const runs: Run[] = []
    for (let round = 1; round <= rounds; round++) {
      try {
        runs.push(await playOnce(own, records, setting, seconds))
      } catch (error) {
        if (own.stopping.aborted) throw error
        print(`${topicOf(setting)} gave nothing: ${messageOf(error)}`)
      }
    }
    if (setting.rate === null && topicOf(setting) !== topicOf(base)) await records.drop(setting)
    if (runs.length === 0) continue
    const point = { x, runs }
    points.push(Number.isNaN(x) ? { x: Math.round(paceOf(point)), runs } : point)
    const pace = Math.round(paceOf(point)).toLocaleString('en')
    print(
      `${series.name} ${Number.isNaN(x) ? 'at most' : x}: ${sumOf(point).toFixed(2)} µs a record, ${pace}/s`,
    )
  }
  return { series, points }
}

async function playOnce(
  own: Own,
  records: Records,
  setting: Setting,
  seconds: number,
): Promise<Run> {
  const { rate } = setting
  if (rate === null) return playFilled(own, setting, await records.fill(setting))
  await records.empty(setting)
  try {
    return await playOffered(own, { ...setting, rate }, seconds)
  } finally {
    await records.drop(setting)
  }
}

async function draw(directory: string, result: Result): Promise<void> {
  mkdirSync(directory, { recursive: true })
  await Bun.write(join(directory, `${result.series.name}.svg`), chartSvg(chartOf(result)))
}
