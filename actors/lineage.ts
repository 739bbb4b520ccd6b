/**
 * Where a version of a job stands beside the one that it was made from, in the hash `version` of each.
 *
 *   of the new one   shadow ──► live          its sinks are held back until it is live
 *   of the old one   (none) ──► ending ──► replaced
 *
 * `bun run supervisor --shadow` makes the new one's; `bun run versions cutover` moves both on, one step at a
 * time, each of which can be done again (versions/cutover.ts). What a job's sinks have is kept under the
 * name of the first of all versions, so that they go on whichever of them writes.
 */
import * as v from 'valibot'
import type { Job } from './job.ts'
import type { Keys } from './keys.ts'
import type { Store } from './redis.ts'

export const stages = ['shadow', 'live', 'ending', 'replaced'] as const
export type Stage = (typeof stages)[number]

const lineageSchema = v.object({
  stage: v.picklist(stages),
  /** Of a version: the job or version beside which it was begun. */
  of: v.optional(v.string()),
  /** Those before it, the first one first, separated by commas: `of` is the last. */
  before: v.optional(v.string(), ''),
  /** Of the old one: the version that takes its place. */
  by: v.optional(v.string()),
  /** What ends after this is whole, as its records were all read; epoch ms. */
  wholeAfter: v.optional(v.pipe(v.string(), v.transform(Number))),
})

export interface Lineage extends Omit<v.InferOutput<typeof lineageSchema>, 'before'> {
  before: readonly string[]
}

/** What the hash says; null for a job that stands alone, or by a newer version that is not ours to judge. */
export function lineageOf(hash: Record<string, string>): Lineage | null {
  const parsed = v.safeParse(lineageSchema, hash)
  if (!parsed.success) return null
  const { before, ...rest } = parsed.output
  return { ...rest, before: before === '' ? [] : before.split(',') }
}

export const readLineage = async (store: Store, keys: Keys): Promise<Lineage | null> =>
  lineageOf(await store.redis.hgetall(keys.version))

/** How a job's sinks are handed from version to version. */
export interface Succession {
  /** The name under which sinks keep where they are: of the first version of all. */
  owner: string
  /** What positions in our own stream of closed windows say, and those of the versions before. */
  version: string
  predecessors: readonly string[]
}

export function successionOf(name: string, lineage: Lineage | null): Succession {
  const [owner, ...between] = [...(lineage?.before ?? []), name]
  const versions = ['', ...between]
  return {
    owner: owner ?? name,
    version: versions.at(-1) ?? '',
    predecessors: versions.slice(0, -1),
  }
}

/** Of a version that goes on from another: the job with the sinks that its file declares. */
export function withSinks(
  job: Job,
  declared: Pick<Job, 'sinks' | 'updatesMs'>,
  lineage: Lineage | null,
): Job {
  return lineage?.of === undefined ? job : { ...job, ...declared }
}

/** In a sentence, for who starts the one that is not at work any more. */
export function replacedBy(name: string, lineage: Lineage | null): string | null {
  const { stage, by } = lineage ?? {}
  if (stage !== 'ending' && stage !== 'replaced') return null
  return `job ${name} was replaced by its version ${by}; that one runs with --as ${by}`
}

/** Where a sink of the old one was when it was replaced, kept with the new one. */
export const sinkField = (sink: string): string => `sink:${sink}`
