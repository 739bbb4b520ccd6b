/** `bun run why`: why there are as many executors as there are, and how it came to that. */
import { systemClock } from '../actors/clock.ts'
import { bounds, type Config, readConfig, redisAddress, redisHint } from '../actors/config.ts'
import { parseDuration } from '../actors/duration.ts'
import { RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import { loadJob, SHIPPED_JOB } from '../actors/load.ts'
import { createLog } from '../actors/log.ts'
import { print, unread } from '../actors/output.ts'
import { isOutage, openStore, type Store, untilReady } from '../actors/redis.ts'
import { heldKeys } from '../actors/shards.ts'
import { type KeptDecision, readDecisions } from './decisions.ts'
import { decisionText, effectLine, emptyText, type Now, nowText } from './explain.ts'
import { decisionReport } from './status.ts'
import { createStatusReader } from './status-reader.ts'

const command = {
  help: `
Usage: bun run why [jobs/file.ts] [options]

Says why the job (${SHIPPED_JOB} by default) has as many executors as it has: what is true now and why
that holds, and below it the last decisions, the newest last, each with its sentence, the numbers that
it was taken by, and how long it took until it was so.

  --last N      decisions at the most (10; with --since all that are kept)
  --since TIME  those of the last 30s, 10m, 2h or 1d
  --follow      goes on with what is decided from now on, until Ctrl-C
  --json        as JSON; with --follow a line a decision, once more when it has taken effect
  --help        this text

Exit code: 0; 1 when Redis does not answer; 2 for a mistake in the command.

Environment: REDIS_URL`,
  options: {
    last: { type: 'string' },
    since: { type: 'string' },
    follow: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  positionals: ['jobs/file.ts'],
} as const

const LAST = 10
/** Redis has this long to answer before the command says that it doesn't. */
const ANSWER_MS = 3_000
const FOLLOW_EVERY_MS = 500
/** Decisions that may come, or take effect, between two looks. */
const FOLLOWED = 50

interface Asked {
  last: number
  sinceMs: number | null
  follow: boolean
  json: boolean
}

interface Place {
  job: Job
  keys: Keys
  store: Store
}

async function main(): Promise<number> {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const asked = askedOf(values)
  const config = readConfig()
  const job = await loadJob(positionals[0] ?? SHIPPED_JOB)
  const log = createLog('why', 'error', () => {})
  const store = openStore(config, log)
  try {
    await untilReady(store, AbortSignal.timeout(ANSWER_MS))
    const place = { job, keys: await heldKeys(store, job.name), store }
    const decisions = await explain(asked, place)
    if (asked.follow) await follow(asked, place, decisions)
    return 0
  } catch (error) {
    if (!isOutage(error)) throw error
    throw silence(config, error)
  } finally {
    await store.close()
  }
}

function askedOf(values: {
  last?: string | undefined
  since?: string | undefined
  follow?: boolean | undefined
  json?: boolean | undefined
}): Asked {
  const last = wholeNumberFlag('last', values.last, { from: 1, to: bounds.decisionsKept })
  const sinceMs = sinceOf(values.since)
  return {
    last: last ?? (sinceMs === null ? LAST : bounds.decisionsKept),
    sinceMs,
    follow: values.follow ?? false,
    json: values.json ?? false,
  }
}

function sinceOf(text: string | undefined): number | null {
  if (text === undefined) return null
  const ms = parseDuration(text)
  if (ms !== null && ms > 0) return ms
  throw new UsageError(`--since must be such as 30s, 10m, 2h or 1d, not ${JSON.stringify(text)}`)
}

/** Prints all that was asked for; gives the decisions that were printed. */
async function explain(asked: Asked, { job, keys, store }: Place): Promise<KeptDecision[]> {
  const reader = createStatusReader(store, keys, job, systemClock, { sampleEveryMs: 0 })
  const [status, loop, kept] = await Promise.all([
    reader.status(),
    reader.loop(),
    readDecisions(store, keys, bounds.decisionsKept),
  ])
  const at = Date.parse(status.at)
  const isRecent = (decision: KeptDecision) =>
    asked.sinceMs === null || at - decision.at <= asked.sinceMs
  const shown = kept.filter(isRecent).slice(0, asked.last).toReversed()
  const changedAt = kept.find(({ from, to }) => from !== to)?.at ?? null
  const now = { status, loop, changedAt }
  if (!asked.json) print(wholeText(job.name, now, shown))
  else if (asked.follow) for (const each of shown) print(JSON.stringify(decisionReport(each)))
  else print(JSON.stringify(wholeJson(now, shown), null, 2))
  return shown
}

function wholeText(job: string, now: Now, shown: readonly KeptDecision[]): string {
  const at = Date.parse(now.status.at)
  const blocks = shown.map((each, i) => decisionText(each, shown.slice(i + 1), at))
  if (blocks.length === 0) blocks.push(emptyText(job, now))
  return [nowText(job, now), ...blocks].join('\n\n')
}

function wholeJson({ status, loop }: Now, shown: readonly KeptDecision[]) {
  const { at, job, topic, state, reason, executors, backlog } = status
  const newest = loop?.decision ?? null
  const now = newest && { ...newest, at: new Date(newest.at).toISOString() }
  const decisions = shown.map(decisionReport)
  return { at, job, topic, state, reason, executors, backlog, now, decisions }
}

/** Prints what is decided and what has taken effect, until the process is ended or nobody reads any more. */
async function follow(asked: Asked, place: Place, printed: KeptDecision[]): Promise<void> {
  const { store, keys } = place
  const told = new Map(printed.map(({ id, effectMs }) => [id, effectMs]))
  let newest = printed.at(-1)?.id ?? (await readDecisions(store, keys, 1))[0]?.id ?? ''
  const ended = unread(process.stdout)
  while (!ended.aborted) {
    await systemClock.sleep(FOLLOW_EVERY_MS, ended)
    // Redis is back or it is not: an outage that passes is no reason to end.
    const decisions = await readDecisions(store, keys, FOLLOWED).catch(outageAsNull)
    for (const decision of decisions?.toReversed() ?? []) {
      const { id, effectMs } = decision
      const isNew = isBehind(id, newest)
      if (isNew) newest = id
      else if (!told.has(id) || told.get(id) === effectMs) continue
      told.set(id, effectMs)
      if (asked.json) print(JSON.stringify(decisionReport(decision)))
      else if (isNew) print(`\n${decisionText(decision, [], systemClock.now())}`)
      else print(effectLine(decision))
    }
  }
}

/** Whether a stream's id comes behind another. */
function isBehind(id: string, other: string): boolean {
  const [ms = 0, place = 0] = id.split('-').map(Number)
  const [otherMs = 0, otherPlace = -1] = other.split('-').map(Number)
  return ms > otherMs || (ms === otherMs && place > otherPlace)
}

function outageAsNull(error: unknown): null {
  if (!isOutage(error)) throw error
  return null
}

function silence(config: Config, cause: unknown): RefusalError {
  const address = redisAddress(config)
  const line = `Redis at ${address} does not answer; ${redisHint(config)}`
  return new RefusalError(line, { cause })
}

await runMain('why', main)
