/**
 * Where recordings come from: Redis, where the leading supervisor keeps its measurements, or a file of
 * JSON lines (a sample or a decision each) that `--record` wrote.
 */
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { redisAddress, readConfig } from '../actors/config.ts'
import { messageOf, RefusalError, UsageError } from '../actors/errors.ts'
import { loadJob } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { isOutage, openStore, untilReady } from '../actors/redis.ts'
import { heldKeys } from '../actors/shards.ts'
import { readDecisions } from '../supervisor/decisions.ts'
import { readSamples, sampleSchema } from '../supervisor/measurements.ts'
import type { Decision } from '../supervisor/reasons.ts'
import type { Trace } from './trace.ts'

/** Redis has this long to answer before the command says that it doesn't. */
const ANSWER_MS = 5_000
const DECISIONS_MAX = 10_000

const amount = v.pipe(v.number(), v.finite(), v.minValue(0))

const lineSchema = v.union([
  sampleSchema,
  v.looseObject({
    at: amount,
    from: amount,
    to: amount,
    reason: v.string(),
    sentence: v.string(),
  }),
])

/** What is kept of a job; `name` is the job's. */
export async function traceOfJob(file: string): Promise<{ name: string; trace: Trace }> {
  const config = readConfig()
  const job = await loadJob(file)
  const log = createLog('simulate', 'error', () => undefined)
  const store = openStore(config, log)
  try {
    await untilReady(store, AbortSignal.timeout(ANSWER_MS))
    const keys = await heldKeys(store, job.name)
    const samples = await readSamples(store, keys)
    const first = samples[0]?.at ?? Infinity
    const decisions = await readDecisions(store, keys, DECISIONS_MAX)
    const within = decisions.filter(({ at }) => at >= first).toReversed()
    return { name: job.name, trace: { samples, decisions: within } }
  } catch (error) {
    if (!isOutage(error)) throw error
    const address = redisAddress(config)
    throw new RefusalError(`Redis at ${address} does not answer (${messageOf(error)})`, {
      cause: error,
    })
  } finally {
    await store.close()
  }
}

/** @throws UsageError that names the file, and the line */
export function traceOfFile(file: string): Trace {
  const trace: Trace = { samples: [], decisions: [] }
  for (const [i, line] of textOf(file).split('\n').entries()) {
    if (line.trim() === '') continue
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), lineSchema), line)
    if (!parsed.success) {
      throw new UsageError(`${file}, line ${i + 1}: neither a measurement nor a decision`)
    }
    if ('sentence' in parsed.output) trace.decisions.push(parsed.output as unknown as Decision)
    else trace.samples.push(parsed.output)
  }
  return trace
}

export const linesOf = ({ samples, decisions }: Trace): string =>
  [...samples, ...decisions].map((one) => `${JSON.stringify(one)}\n`).join('')

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${file} can't be read (${messageOf(error)})`, { cause: error })
  }
}
