/**
 * Behind the fault: everything is done, exactly once, nothing is left over, nobody is left, and the
 * log tells what happened without telling a secret.
 *
 *   quiet → drained → monitor's findings → recomputation → leftovers → state → stopped → log
 */
import { readFileSync } from 'node:fs'
import {
  bounded,
  type Finding,
  findingText,
  nobodyLeft,
  quiet,
  staffed,
  tidied,
  told,
} from '../verify/checks.ts'
import type { Report } from '../verify/verify.ts'
import { EXECUTORS_MAX, type Fault } from './fault.ts'
import { readLeftovers } from './leftovers.ts'
import type { Pipeline } from './pipeline.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

/** In every pipeline's environment as its token: found nowhere else, or it is a leak. */
export const CANARY = 'canary-3f9a51c07be2'

const DRAIN_TIMEOUT_MS = 120_000
const STATE_TIMEOUT_MS = 90_000
/** Pages that a person without the token may read. */
const PAGES = ['/api/status', '/api/executors', '/api/decisions', '/metrics', '/openapi.json', '/']

/** Answers with how many records the topic held; throws all that is wrong. */
export async function settle(fault: Fault, world: World): Promise<number | null> {
  const { pipeline, monitor, setting } = world
  const { foreseen = [] } = setting
  await world.quiet()
  if (setting.ends === 'by itself') {
    await monitor?.end()
    await pipeline.stop()
    refuse([...logged(fault, pipeline, foreseen)])
    return null
  }
  await pipeline.drained({ timeoutMs: DRAIN_TIMEOUT_MS })
  await monitor?.end()
  const report = await pipeline.verify()
  refuse(differencesOf(report))
  const { actors } = await pipeline.snapshot()
  const limits = { min: 0, max: setting.executorsMax ?? EXECUTORS_MAX }
  const found = [
    ...tidied(await readLeftovers(pipeline.store, pipeline.keys)),
    ...staffed(actors, limits, { atRest: true }),
    ...(await leaks(pipeline)),
  ]
  if (pipeline.supervisors.length > 0) await recovered(pipeline)
  await pipeline.stop()
  const nobody = nobodyLeft(pipeline.processes())
  refuse([
    ...found.map(findingText),
    ...nobody.map(findingText),
    ...logged(fault, pipeline, foreseen),
  ])
  return report.records
}

/** Throws what was found, if anything. */
function refuse(found: readonly string[]): void {
  if (found.length > 0) throw new Error(found.join('; '))
}

function differencesOf(report: Report): string[] {
  const { ok, lost, duplicated, wrong, unaccounted, differences } = report
  if (ok && unaccounted === 0) return []
  const counts = `lost ${lost}, duplicated ${duplicated}, wrong ${wrong}, unaccounted ${unaccounted}`
  return [counts, ...differences.named]
}

/** The status says by itself that all is well again. */
async function recovered(pipeline: Pipeline): Promise<void> {
  const running = async () => {
    const { state, reason } = await pipeline.status()
    if (state === 'running') return true
    throw new Error(`${state}: ${reason}`)
  }
  await until('the state to be running', running, { timeoutMs: STATE_TIMEOUT_MS })
}

/** The token in what others may read: arguments, pages. The log is read at the end. */
async function leaks(pipeline: Pipeline): Promise<Finding[]> {
  const places: string[] = []
  for (const { pid, command } of pipeline.processes()) {
    if (command.includes(CANARY)) places.push(`arguments of process ${pid} tell the token`)
  }
  if (pipeline.supervisors.length > 0) {
    for (const page of PAGES) {
      const text = await pipeline.fetch(page).then(
        (answer) => answer.text(),
        () => '',
      )
      if (text.includes(CANARY)) places.push(`${page} tells the token`)
    }
  }
  return places.map((text) => ({ check: 'C8', kind: 'wrong', amount: 1, text }))
}

/** C8, by the log of all processes from beginning to end. */
function logged({ id, shows }: Fault, pipeline: Pipeline, foreseen: RegExp[]): string[] {
  const lines = readFileSync(pipeline.logFile, 'utf8').split('\n')
  const signs = shows
    ? [{ fault: id, where: 'the log', shows: lines.some((line) => shows.test(line)) }]
    : []
  const kept = bounded([
    { name: 'bytes of the log', value: lines.join('\n').length, max: 8 * 1024 * 1024 },
  ])
  const oddities = quiet(lines, { secrets: [CANARY], foreseen })
  return [...told(signs), ...kept, ...oddities].map(findingText)
}
