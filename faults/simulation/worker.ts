/** A worker of run.ts: `bun worker.ts <first seed> <end> <step> <seconds at the most>`. */
import { systemClock } from '../../actors/clock.ts'
import type { Line } from './run.ts'
import { simulate } from './simulate.ts'

const [first, end, step, secondsMax] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number,
  number,
]
const started = systemClock.elapsed()
const say = (line: Line) => void process.stdout.write(`${JSON.stringify(line)}\n`)
const counts = new Map<string, number>()
const unhandled: string[] = []
process.on('unhandledRejection', (error) => {
  unhandled.push(`nobody handled: ${error instanceof Error ? error.stack : String(error)}`)
})
let seeds = 0
let virtualMs = 0
for (let seed = first; seed < end; seed += step) {
  const outcome = simulate(seed)
  // Rejections that nobody handled are told between two turns of the event loop.
  await new Promise((resolve) => setImmediate(resolve))
  const findings = [...outcome.findings, ...unhandled.splice(0)]
  if (findings.length > 0) say({ kind: 'failed', seed, findings })
  for (const [kind, count] of outcome.counts) counts.set(kind, (counts.get(kind) ?? 0) + count)
  seeds++
  virtualMs += outcome.virtualMs
  if (systemClock.elapsed() - started > secondsMax * 1_000) break
}
say({ kind: 'done', seeds, virtualMs, counts: [...counts] })
