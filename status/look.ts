/** One look at a job: what GET /api/status, executors and cost answer at the same moment. */
import type { Clock } from '../actors/clock.ts'
import { exitCodes } from '../actors/errors.ts'
import type { CostReport } from '../supervisor/cost.ts'
import type { ActorReport, StatusReport } from '../supervisor/status.ts'
import type { StatusReader } from '../supervisor/status-reader.ts'

export interface Look {
  status: StatusReport
  executors: ActorReport[]
  cost: CostReport
}

/** Rates and delays are counted between two looks, at least so far apart. */
const RATES_MS = 1_050

export async function lookAt(reader: StatusReader): Promise<Look> {
  const [status, { executors }, cost] = await Promise.all([
    reader.status(),
    reader.executors(),
    reader.cost(),
  ])
  return { status, executors, cost }
}

/** The second of two looks, which knows rates and delays. */
export async function lookTwice(reader: StatusReader, clock: Clock): Promise<Look> {
  await reader.status()
  await clock.sleep(RATES_MS)
  return lookAt(reader)
}

/** Whether somebody has to see to it: degraded, stopped, or records that nobody can account for. */
export function isWrong({ state, totals }: StatusReport): boolean {
  return state === 'degraded' || state === 'stopped' || totals.unaccounted !== 0
}

export const exitCodeOf = ({ status }: Look): number =>
  (isWrong(status) ? exitCodes.failed : exitCodes.done).code
