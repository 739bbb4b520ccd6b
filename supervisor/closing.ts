/**
 * The leader's clockwork of event time: lets the watermark move and closes what it has passed.
 * Every call does a bounded step inside Redis; while there is more, the next follows at once.
 */
import { bounds } from '../actors/config.ts'
import type { Job } from '../actors/job.ts'
import type { Keys } from '../actors/keys.ts'
import { leastOf } from '../actors/least.ts'
import type { Store } from '../actors/redis.ts'
import { shapeArguments } from '../actors/windows/span.ts'
import { Joining } from './joining.ts'
import { allowedBy, type Standing, standingOf } from './standing.ts'

/** Steps of one look: many groups must not keep the supervisor from its other work. */
const stepsMax = 40

/** Answers whether more is left to close. Rejects on an outage; asking again is always safe. */
export async function advance(store: Store, keys: Keys, job: Job): Promise<boolean> {
  const step = keys.shards.length === 1 ? advanceAlone : advanceTogether
  for (let steps = 0; steps < stepsMax; steps++) {
    if (!(await step(store, keys, job))) return false
  }
  return true
}

async function advanceAlone(store: Store, keys: Keys, job: Job): Promise<boolean> {
  const reply = (await store.call('advance', keys.base, [
    ...closingArguments(job),
    bounds.closedEntriesKept,
    bounds.closedBytesKept,
    bounds.closedEntriesHeld,
    ...job.sinks.map(({ name }) => name),
  ])) as [watermark: string, closedTo: string, more: number, holder: string]
  return reply[2] === 1
}

const closingArguments = (job: Job) => [
  job.ops,
  ...shapeArguments(job),
  job.watermarkDelayMs,
  bounds.idleAfterMs,
  bounds.closeGroupsMax,
]

/**
 * All shards at once. What all have closed is joined; then each moves its watermark to what the partitions
 * of all allow, and closes its part of what all watermarks have passed.
 */
async function advanceTogether(store: Store, keys: Keys, job: Job): Promise<boolean> {
  const standings = await Promise.all(keys.shards.map((shard) => readStanding(store, shard, job)))
  const joining = await Joining.open(store, keys, job)
  const closedTo = leastOf(standings.map((standing) => standing.closedTo))
  if (!(await joining.upTo(closedTo))) return true
  const limits = {
    allowed: allowedBy(standings, job.watermarkDelayMs),
    closeTo: leastOf(standings.map(({ watermark }) => watermark)),
  }
  const raised = await Promise.all(
    keys.shards.map((shard) => raise(store, shard, job, limits, joining.passed)),
  )
  const now = {
    watermark: leastOf(raised.map(({ watermark }) => watermark)),
    closedTo: leastOf(raised.map((shard) => shard.closedTo)),
  }
  const isPast = slideOf(job, now.watermark) > slideOf(job, limits.closeTo)
  return isPast || now.closedTo !== closedTo || raised.some(({ more }) => more)
}

const slideOf = ({ windowSlideMs }: Job, time: number | null): number =>
  time === null ? -Infinity : Math.floor(time / windowSlideMs)

async function readStanding(store: Store, { base }: Keys, job: Job): Promise<Standing> {
  const args = [bounds.idleAfterMs, job.windowSlideMs]
  return standingOf((await store.call('standing', base, args)) as string[])
}

async function raise(
  store: Store,
  { base }: Keys,
  job: Job,
  { allowed, closeTo }: { allowed: number | null; closeTo: number | null },
  passed: string,
): Promise<{ watermark: number | null; closedTo: number | null; more: boolean }> {
  const args = [...closingArguments(job), allowed ?? '', closeTo ?? '', passed]
  const [watermark, closedTo, more] = (await store.call('raise', base, args)) as [
    string,
    string,
    number,
  ]
  const time = (text: string) => (text === '' ? null : Number(text))
  return { watermark: time(watermark), closedTo: time(closedTo), more: more === 1 }
}
