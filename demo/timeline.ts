/**
 * The timeline: asks the page's API once a second how the pipeline is, prints a line, keeps samples.
 */
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import type { CostReport } from '../supervisor/cost.ts'
import type { StatusReport } from '../supervisor/status.ts'

export interface Sample {
  at: number
  backlog: number
  executors: number
  p50: number | null
  p99: number | null
}

const upWithinMs = 30_000

export class Timeline {
  readonly #url: string
  readonly #startedAt = systemClock.elapsed()

  constructor(url: string) {
    this.#url = url
  }

  /** Waits until the pipeline says that it is ready. */
  async untilUp(): Promise<void> {
    const deadline = systemClock.elapsed() + upWithinMs
    let last = 'no answer'
    while (systemClock.elapsed() < deadline) {
      const answer = await fetch(`${this.#url}/readyz`).catch(() => null)
      if (answer?.ok) return
      last = (await answer?.text()) ?? last
      await systemClock.sleep(200)
    }
    throw new RefusalError(`the pipeline was not ready within ${upWithinMs / 1000} s: ${last}`)
  }

  /** One look, one line. */
  async look(stage: string): Promise<Sample> {
    const status = await this.#get<StatusReport>('/api/status')
    const sample = {
      at: systemClock.elapsed(),
      backlog: status.backlog.records + (status.backlog.kafkaLag ?? 0),
      executors: status.executors.count,
      p50: status.latencyMs.p50,
      p99: status.latencyMs.p99,
    }
    process.stdout.write(`${this.#line(stage, sample, status)}\n`)
    return sample
  }

  cost(): Promise<CostReport> {
    return this.#get('/api/cost')
  }

  #line(stage: string, sample: Sample, status: StatusReport): string {
    const seconds = Math.round((sample.at - this.#startedAt) / 1000)
    const bar = '█'.repeat(Math.min(Math.ceil(sample.backlog / 4), 30))
    return [
      `${String(seconds).padStart(4)} s`,
      stage.padEnd(14),
      `executors ${'●'.repeat(sample.executors).padEnd(4, '·')}`,
      `in ${rate(status.rates.inPerSecond)} out ${rate(status.rates.outPerSecond)}`,
      `backlog ${String(sample.backlog).padStart(4)} ${bar}`,
    ].join('  ')
  }

  async #get<Answer>(path: string): Promise<Answer> {
    const answer = await fetch(`${this.#url}${path}`)
    if (!answer.ok) throw new RefusalError(`GET ${path} answered ${answer.status}`)
    return (await answer.json()) as Answer
  }
}

const rate = (perSecond: number | null): string =>
  `${perSecond === null ? '–' : perSecond.toFixed(0)}/s`.padStart(5)
