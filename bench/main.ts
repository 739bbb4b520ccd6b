/**
 * `bun run bench`: how fast the pipeline takes a topic that is in Kafka already, from start to end,
 * and how fast others take the same topic on the same machine.
 *
 *   fill the topic → warm the broker → each round: Millrace (then verify), and each peer alone
 *     → rows compared → table
 *
 * Kafka, Redis, the engine and this program share the machine; CPU is told for each of them, from
 * the kernel's own accounts. Linux only.
 */
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { messageOf, RefusalError, runMain } from '../actors/errors.ts'
import { print } from '../actors/output.ts'
import { Children } from '../demo/children.ts'
import studentsJob from '../jobs/students.ts'
import { createProgress, type Progress } from '../cli/progress.ts'
import { type Services, startServices } from '../services/services.ts'
import { comparisonText, compareRows, isEqual, type Row } from './compare.ts'
import { kafkaLimit, redisLimit } from './limits.ts'
import { machineFacts } from './machine.ts'
import { type MillraceRound, playMillrace } from './millrace.ts'
import { type Options, readOptions } from './options.ts'
import { installPeers, type ReadyPeer } from './peers/install.ts'
import { playPeer } from './peers/run.ts'
import { streamsOfShortGrace } from './peers/streams.ts'
import { type EngineResult, type Limits, reportText } from './report.ts'
import type { Round } from './round.ts'
import { versionsOf } from './versions.ts'
import { warmBroker } from './warm.ts'

const { topic } = studentsJob

await runMain('bench', async () => {
  const options = readOptions()
  const log = createProgress()
  const machine = machineFacts()
  const peers = await installPeers(options.peers, log)
  const services = await startServices({ log, redisSocket: options.socket })
  const children = new Children({ ...process.env, ...services.environment, LOG_LEVEL: 'warn' })
  try {
    await fill(children, options)
    await warmBroker(readConfig({ ...services.environment }), topic)
    const engines = await playRounds(services, children, peers, options)
    const notes = peers.some(({ peer }) => peer.name === 'streams')
      ? [await shortGrace(services, engines.rows, options.count, log)]
      : []
    const limits = await limitsOf(services, options, log)
    const result = {
      at: new Date(systemClock.now()).toISOString(),
      machine,
      versions: await versionsOf(services),
      options,
      engines: engines.results,
      limits,
      notes,
    }
    print(`\n${reportText(result)}`)
    if (options.json) await Bun.write(options.json, `${JSON.stringify(result, null, 2)}\n`)
    return 0
  } finally {
    await children.stop()
    await services.stop()
  }
})

async function fill(children: Children, options: Options): Promise<void> {
  const { count, partitions, compression } = options
  const amount = ['--count', String(count), '--partitions', String(partitions)]
  const kind = ['--compression', compression, '--span', String(spanSeconds(count))]
  const code = await children.run(['bench/fill.ts', '--topic', topic, ...amount, ...kind])
  if (code !== 0) throw new RefusalError(`bench/fill.ts ended with code ${code}`)
}

/**
 * Of event time over all records: an hour for 5,000,000, and in proportion for fewer. A request that
 * Kafka refused goes again behind later ones, and of few records over an hour its thousand would then
 * be late by more than the watermark delay.
 */
function spanSeconds(count: number): number {
  return Math.min(3_600, Math.max(600, Math.ceil((count / 5_000_000) * 3_600)))
}

/** Millrace's results first; `rows` are its last. */
async function playRounds(
  services: Services,
  children: Children,
  peers: ReadyPeer[],
  { count, max, rounds }: Options,
): Promise<{ results: EngineResult[]; rows: Row[] }> {
  const millrace = millraceResult(max)
  const others = peers.map(({ peer }): EngineResult => ({ ...peer, rounds: [], comparisons: [] }))
  let rows: Row[] = []
  for (let round = 1; round <= rounds; round++) {
    const { rows: own, ...ours } = await playMillrace(services, children, count, max)
    rows = own
    millrace.rounds.push(ours)
    print(`round ${round}: ${describe(ours, count)}, ${redisText(ours)}`)
    for (const [at, ready] of peers.entries()) {
      await addRound(services, ready, others[at]!, rows, { count, round })
    }
  }
  return { results: [millrace, ...others.filter((one) => one.rounds.length > 0)], rows }
}

function millraceResult(max: number): EngineResult {
  return {
    name: 'millrace',
    label: 'Millrace',
    version: '',
    settings: `0 to ${max} executors, exactly once, Redis with its append-only file`,
    firstResult: 'the first committed record',
    rounds: [],
    comparisons: [],
  }
}

/** A peer that fails is a line, and the others go on. */
async function addRound(
  services: Services,
  { peer, installed }: ReadyPeer,
  result: EngineResult,
  expected: Row[],
  { count, round }: { count: number; round: number },
): Promise<void> {
  try {
    const { rows, ...played } = await playPeer(services, peer, installed, topic, count)
    const comparison = compareRows(expected, rows)
    result.rounds.push(played)
    result.comparisons.push(comparison)
    const outcome = comparisonText(comparison)
    print(`round ${round}: ${peer.label}: ${describe(played, count)}, ${outcome}`)
  } catch (error) {
    print(`round ${round}: ${peer.label} gave nothing: ${messageOf(error)}`)
  }
}

/** What Kafka Streams loses with the grace that the job's watermark delay suggests. */
async function shortGrace(
  services: Services,
  expected: Row[],
  count: number,
  log: Progress,
): Promise<string> {
  const peer = streamsOfShortGrace
  const what = `${peer.label} with a grace of 1 minute`
  try {
    const installed = await peer.install(log)
    const { rows } = await playPeer(services, peer, installed, topic, count)
    const comparison = compareRows(expected, rows)
    const outcome = isEqual(comparison) ? 'loses nothing' : comparisonText(comparison)
    return `${what}, not timed: ${outcome}`
  } catch (error) {
    return `${what} gave nothing: ${messageOf(error)}`
  }
}

async function limitsOf(services: Services, options: Options, log: Progress): Promise<Limits> {
  if (options.peers.length === 0) return { kafka: null, redis: null }
  return {
    kafka: await kafkaLimit(services, topic, options.count, log).catch(unmeasured),
    redis: await redisLimit(services).catch(unmeasured),
  }
}

function unmeasured(error: unknown): null {
  print(`a limit could not be measured: ${messageOf(error)}`)
  return null
}

function describe(round: Round, count: number): string {
  return [
    `${count.toLocaleString('en')} records in ${round.seconds.toFixed(2)} s`,
    `${Math.round(count / round.seconds).toLocaleString('en')}/s from start to end`,
    `first result after ${round.firstResultSeconds.toFixed(2)} s`,
    `peak ${(round.peakBytes / 2 ** 20).toFixed(0)} MiB`,
  ].join(', ')
}

function redisText(round: Omit<MillraceRound, 'rows'>): string {
  return [
    `${(round.actorsPeakBytes / 2 ** 20).toFixed(0)} of it in actors`,
    `longest Redis call ${round.redisLongestMs.toFixed(1)} ms`,
    `Redis +${(round.redisGrowthBytes / 2 ** 20).toFixed(1)} MiB afterwards, windows included`,
  ].join(', ')
}
