/**
 * Many seeds, over several worker processes: each takes every n-th. What a worker finds comes back
 * line by line, as JSON.
 */
import { join } from 'node:path'
import * as v from 'valibot'

export interface SeedsOptions {
  from: number
  seeds: number
  processes: number
  /** No seed is begun after so long; the report tells how many were. */
  secondsMax?: number
  onFailure?: (failure: { seed: number; findings: string[] }) => void
  /** Ends the run before its time; the report tells what was done until then. */
  signal?: AbortSignal
}

export interface SeedsReport {
  seeds: number
  failed: number
  seconds: number
  virtualSeconds: number
  /** How often each kind of thing happened, over all seeds. */
  counts: Map<string, number>
}

/** What a worker writes: one line for each seed that failed, one in the end. */
export const lineSchema = v.variant('kind', [
  v.object({ kind: v.literal('failed'), seed: v.number(), findings: v.array(v.string()) }),
  v.object({
    kind: v.literal('done'),
    seeds: v.number(),
    virtualMs: v.number(),
    counts: v.array(v.tuple([v.string(), v.number()])),
  }),
])
export type Line = v.InferOutput<typeof lineSchema>

/**
 * JavaScriptCore's last compiler costs more than it gains here: the work is spread over hundreds of
 * functions, none of them hot. Measured over 600 seeds: without it three quarters of the processor time.
 */
const withoutFtl = { BUN_JSC_useFTLJIT: '0' }

/** Rejects where a worker dies: a seed must never end the process that plays it. */
export async function runSeeds(options: SeedsOptions): Promise<SeedsReport> {
  const started = performance.now()
  const report: SeedsReport = {
    seeds: 0,
    failed: 0,
    seconds: 0,
    virtualSeconds: 0,
    counts: new Map(),
  }
  const take = (line: Line) => {
    if (line.kind === 'failed') {
      report.failed++
      options.onFailure?.(line)
      return
    }
    report.seeds += line.seeds
    report.virtualSeconds += line.virtualMs / 1_000
    for (const [kind, count] of line.counts) {
      report.counts.set(kind, (report.counts.get(kind) ?? 0) + count)
    }
  }
  const workers = Array.from({ length: options.processes }, (_, i) => work(options, i, take))
  await Promise.all(workers)
  report.seconds = (performance.now() - started) / 1_000
  return report
}

async function work(
  { from, seeds, processes, signal, secondsMax = Infinity }: SeedsOptions,
  index: number,
  take: (line: Line) => void,
): Promise<void> {
  const script = join(import.meta.dir, 'worker.ts')
  const args = [from + index, from + seeds, processes, secondsMax].map(String)
  const child = Bun.spawn([process.execPath, script, ...args], {
    env: { ...process.env, ...withoutFtl },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const end = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', end)
  if (signal?.aborted) end()
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of child.stdout) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()!
    for (const line of lines) take(v.parse(v.pipe(v.string(), v.parseJson(), lineSchema), line))
  }
  const code = await child.exited
  signal?.removeEventListener('abort', end)
  if (signal?.aborted) return
  if (code !== 0) throw new Error(`a worker of the simulation ended with code ${code}`)
}
