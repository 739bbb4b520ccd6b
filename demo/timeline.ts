/**
 * The timeline: asks the page's API a few times a second how the pipeline is, and prints a line a second.
 */
import { systemClock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import type { CostReport } from '../supervisor/cost.ts'
import type { Delayed } from '../supervisor/latency.ts'
import type { ActorReport, DecisionReport, StatusReport } from '../supervisor/status.ts'

export interface Sample {
  /** Epoch ms. */
  at: number
  backlog: number
  executors: number
}

/** A decision that changed the number of executors. */
export interface Change {
  from: number
  to: number
  /** When it was taken, and when it had taken effect; epoch ms, null for not yet. */
  at: number
  effectAt: number | null
}

/** What every executor had done at a moment, the dead ones too. */
export type Mark = readonly Delayed[]

const upWithinMs = 30_000
/** An executor tells of itself once a second. */
const tellWithinMs = 3_000
/** The API's most. The demonstration takes about ten. */
const decisionsMost = 1_000

export class Timeline {
  readonly #url: string
  readonly #startedAt = systemClock.now()
  #printedAt = -Infinity

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

  /** One look; a line a second. */
  async look(stage: string): Promise<Sample> {
    const status = await this.#get<StatusReport>('/api/status')
    const sample = {
      at: systemClock.now(),
      backlog: status.backlog.records + (status.backlog.kafkaLag ?? 0),
      executors: status.executors.count,
    }
    const second = Math.floor((sample.at - this.#startedAt) / 1_000)
    if (second > this.#printedAt) process.stdout.write(`${this.#line(stage, sample, status)}\n`)
    this.#printedAt = second
    return sample
  }

  /** Oldest first. */
  async changesSince(startedAt: number): Promise<Change[]> {
    const path = `/api/decisions?limit=${decisionsMost}`
    const { decisions } = await this.#get<{ decisions: DecisionReport[] }>(path)
    return decisions
      .map(({ from, to, effectMs, ...rest }) => {
        const at = Date.parse(rest.at)
        return { from, to, at, effectAt: effectMs === null ? null : at + effectMs }
      })
      .filter(({ at, from, to }) => at >= startedAt && from !== to)
      .toReversed()
  }

  /** What all executors have done, by accounts that are newer than this call. */
  async mark(): Promise<Mark> {
    const asked = systemClock.now()
    for (;;) {
      const { executors } = await this.#get<{ executors: ActorReport[] }>('/api/executors')
      const isFresh = ({ at, busy }: ActorReport) => busy === null || Date.parse(at) >= asked
      const isLate = systemClock.now() - asked > tellWithinMs
      if (isLate || executors.every(isFresh)) return executors
      await systemClock.sleep(100)
    }
  }

  cost(): Promise<CostReport> {
    return this.#get('/api/cost')
  }

  #line(stage: string, sample: Sample, status: StatusReport): string {
    const seconds = Math.floor((sample.at - this.#startedAt) / 1_000)
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
