/**
 * `bun run verify --live`: round after round of an audit, one line each, through outages, until it
 * is ended.
 */
import type { Clock } from '../actors/clock.ts'
import { messageOf } from '../actors/errors.ts'
import { isKafkaOutage, kafkaMessage } from '../actors/kafka-client.ts'
import { isOutage } from '../actors/redis.ts'
import type { Audit, Round } from './audit.ts'
import { StalledError } from './topic.ts'

export interface LiveOptions {
  audit: Pick<Audit, 'round' | 'close'>
  clock: Clock
  intervalMs: number
  /** Ends it. */
  signal: AbortSignal
  json: boolean
  write: (line: string) => void
}

const number = (value: number) => value.toLocaleString('en')
const plural = (value: number, noun: string) => `${number(value)} ${noun}${value === 1 ? '' : 's'}`

/** Resolves when the signal ends it. True where rounds were made and nothing ever differed. */
export async function live(options: LiveOptions): Promise<boolean> {
  const { audit, clock, intervalMs, signal, json, write } = options
  const summary = new Summary(clock.elapsed())
  const ended = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true })
  })
  let away = false
  while (!signal.aborted) {
    try {
      const round = await Promise.race([audit.round(), ended])
      if (!round) break
      away = false
      summary.add(round)
      for (const line of json ? [JSON.stringify(round)] : roundLines(round)) write(line)
    } catch (error) {
      const message = outageOf(error)
      if (message === null) throw error
      summary.outages += away ? 0 : 1
      // Said once: what matters is when it is over.
      if (!away) write(json ? JSON.stringify({ outage: message }) : `waiting: ${message}`)
      away = true
    }
    await clock.sleep(intervalMs, signal)
  }
  await audit.close()
  const seconds = (clock.elapsed() - summary.startedAt) / 1_000
  write(json ? JSON.stringify({ summary: summary.told(seconds) }) : summary.text(seconds))
  return summary.ok
}

/** What is away for a while; null for anything else. */
function outageOf(error: unknown): string | null {
  if (isKafkaOutage(error)) return `Kafka does not answer: ${kafkaMessage(error)}`
  if (error instanceof StalledError) return `Kafka: ${error.message}`
  if (isOutage(error)) return `Redis does not answer: ${messageOf(error)}`
  return null
}

function roundLines(round: Round): string[] {
  const { at, records, windows, lost, duplicated, unaccounted, behind, named, notes } = round
  const time = new Date(at).toISOString().slice(11, 19)
  return [
    `${time}  ${plural(records, 'record')}, ${plural(windows, 'closed window')} compared, lost ${lost}, ` +
      `duplicated ${duplicated}, wrong ${round.wrong}, unaccounted: ${unaccounted}, ` +
      `behind ${number(behind)}`,
    ...[...notes.map((note) => `note: ${note}`), ...named].map((text) => `          ${text}`),
  ]
}

class Summary {
  rounds = 0
  outages = 0
  /** The most that ever differed. */
  lost = 0
  duplicated = 0
  wrong = 0
  unaccounted = 0
  records = 0
  windows = 0

  constructor(readonly startedAt: number) {}

  add(round: Round): void {
    this.rounds++
    for (const name of ['lost', 'duplicated', 'wrong', 'unaccounted'] as const) {
      this[name] = Math.max(this[name], Math.abs(round[name]))
    }
    this.records = round.records
    this.windows = round.windows
  }

  get ok(): boolean {
    return this.rounds > 0 && this.lost + this.duplicated + this.wrong + this.unaccounted === 0
  }

  told(seconds: number) {
    const { ok, rounds, outages, records, windows } = this
    const { lost, duplicated, unaccounted } = this
    const differed = { lost, duplicated, wrong: this.wrong, unaccounted }
    return { ok, seconds, rounds, outages, records, windows, ...differed }
  }

  text(seconds: number): string {
    const { rounds, outages, records, windows, lost, duplicated, unaccounted } = this
    return (
      `${plural(rounds, 'round')} in ${seconds.toFixed(0)} s, ${plural(outages, 'outage')}: ` +
      `${plural(records, 'record')}, ${plural(windows, 'closed window')}; at the most lost ${lost}, duplicated ${duplicated}, ` +
      `wrong ${this.wrong}, unaccounted: ${unaccounted}`
    )
  }
}
