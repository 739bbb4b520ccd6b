/**
 * A job's file that was changed, as a shadow beside the one that runs: a version with a name of its own,
 * whose sinks are held back until `bun run versions cutover` makes it the one.
 *
 *   the one that runs → a free name → where its open windows begin → written to Redis → run
 *
 * Started again, it goes on as the shadow that it is.
 */
import type { Clock } from '../actors/clock.ts'
import { RefusalError } from '../actors/errors.ts'
import { type From, fromText } from '../actors/bridge/from.ts'
import type { Job } from '../actors/job.ts'
import { isJobName } from '../actors/names.ts'
import { type Keys, keysOf } from '../actors/keys.ts'
import { type Lineage, readLineage } from '../actors/lineage.ts'
import type { Store } from '../actors/redis.ts'
import { heldKeys, refuseDivided } from '../actors/shards.ts'
import { differencesOf } from '../actors/shape.ts'
import { openSessions } from '../actors/windows/sessions.ts'
import { isSession, type SessionShape } from '../actors/windows/span.ts'

export interface Shadow {
  name: string
  of: string
  from: From
  /** It was begun before, and goes on. */
  known: boolean
}

const VERSIONS_MAX = 1_000

/** @throws RefusalError where there is nothing to be the shadow of */
export async function castShadow(
  store: Store,
  job: Job,
  clock: Clock,
  asked: { from: From | null },
): Promise<Shadow> {
  const of = await theOne(store, job.name)
  const theirs = await heldKeys(store, of)
  refuseDivided(theirs, of, 'a shadow')
  if (!(await store.redis.exists(theirs.ledger))) {
    throw new RefusalError(
      `Redis holds no job ${of}, so there is nothing to be a shadow of: start it without --shadow`,
    )
  }
  const before = await versionsBefore(store, of)
  const { name, known } = await freeName(store, before[0] ?? of, of)
  const closedTo = numberOrNull(await store.redis.hget(theirs.clock, 'closedTo'))
  const from = asked.from ?? (await oldestOpen(store, theirs, job, closedTo))
  if (!known) {
    const wholeAfter = asked.from ? wholeAfterOf(asked.from, job, clock) : (closedTo ?? 0)
    await store.redis.hset(keysOf(name).version, {
      stage: 'shadow',
      of,
      before: [...before, of].join(','),
      wholeAfter: String(wholeAfter),
    })
  }
  return { name, of, from, known }
}

/** What the shadow says of itself as it starts. */
export const shadowText = ({ name, of, from, known }: Shadow, sinks: readonly string[]): string => {
  const begins = known ? 'goes on where it was' : `begins at ${fromText(from)}`
  const held = sinks.length > 0 ? `; its sinks (${sinks.join(', ')}) are held back` : ''
  return `${name} is a shadow of ${of} and ${begins}${held}. bun run versions compare shows whether they agree, bun run versions cutover makes it the one`
}

/** The version that is at work under a job's name by now. */
async function theOne(store: Store, name: string): Promise<string> {
  let one = name
  for (let hops = 0; hops < VERSIONS_MAX; hops++) {
    const lineage = await readLineage(store, keysOf(one))
    if (lineage?.by === undefined) return one
    if (lineage.stage !== 'replaced') {
      throw new RefusalError(
        `${one} is being replaced by ${lineage.by}: finish that with bun run versions cutover`,
      )
    }
    one = lineage.by
  }
  throw new RefusalError(`the versions of ${name} go round in a circle`)
}

const versionsBefore = async (store: Store, of: string): Promise<readonly string[]> =>
  (await readLineage(store, keysOf(of)))?.before ?? []

/** `rooms-2` for rooms, or the next number that is free; the shadow itself where there is one. */
async function freeName(store: Store, first: string, of: string) {
  for (let number = 2; number <= VERSIONS_MAX; number++) {
    const name = `${first}-${number}`
    if (!isJobName(name)) throw new RefusalError(`${name} is too long for a job's name`)
    const known = await shadowState(store, name, of)
    if (known !== null) return { name, known }
  }
  throw new RefusalError(`${first} has ${VERSIONS_MAX} versions: drop some (bun run versions drop)`)
}

/** Whether the name is that of our shadow; null where it is somebody else's. */
async function shadowState(store: Store, name: string, of: string): Promise<boolean | null> {
  const keys = keysOf(name)
  const lineage: Lineage | null = await readLineage(store, keys)
  if (lineage?.stage === 'shadow' && lineage.of === of) return true
  return lineage !== null || (await store.redis.exists(keys.ledger)) ? null : false
}

/**
 * Kafka's time from which records may belong to what is open now. A producer's event time may be ahead of
 * Kafka's timestamp by as much as the job allows.
 */
async function oldestOpen(
  store: Store,
  keys: Keys,
  job: Job,
  closedTo: number | null,
): Promise<From> {
  if (closedTo === null) return 'earliest'
  const first = isSession(job)
    ? await firstOpen(store, keys, job, closedTo - job.gapMs)
    : closedTo - job.windowSizeMs
  return first === null ? 'earliest' : { time: Math.max(0, first - job.maxFutureSkewMs) }
}

/** When the first session that is open began; null where its states are not those of our aggregates. */
async function firstOpen(store: Store, keys: Keys, job: Job & SessionShape, latest: number) {
  const shape = await store.redis.hget(keys.ledger, 'shape')
  if (differencesOf(shape ?? '', job).some(({ isCode }) => !isCode)) return null
  const open = await openSessions(store, keys, job, {})
  return open.reduce((least, { start }) => Math.min(least, start), latest)
}

/** What ends after this can have no record before the beginning. */
function wholeAfterOf(from: From, job: Job, clock: Clock): number {
  if (from === 'earliest') return 0
  const begins = typeof from === 'object' && 'time' in from ? from.time : clock.now()
  // Of sessions without a bound nobody can tell how long they have been open: those of one gap have not.
  return begins + (Number.isSafeInteger(job.windowSizeMs) ? job.windowSizeMs : (job.gapMs ?? 0))
}

const numberOrNull = (text: string | null): number | null => (text === null ? null : Number(text))
