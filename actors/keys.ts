/**
 * Every key of a job in Redis, spelled out. All keys of a shard carry one hash tag, so that they
 * live in one slot and one function call can change them together. The functions derive the same
 * names from `base` (functions/keys.lua), docs/redis.md says what each holds.
 *
 * A job's keys are those of its first shard, where actors, leases and limits are, and what is joined
 * of all of them: `closed` and its `clock`. Of several, each shard has a clock of its own, and `closed`
 * of a shard is its part of the windows. Of one shard all that is the same.
 */
export interface Keys {
  base: string
  /** The shards, each with its own keys: a partition belongs to the one that shardOf says. */
  shards: readonly Keys[]
  /** Of a shard its place among them; 0 of a job. */
  shard: number
  /** String: the number of shards that the job was begun with, or `from>to` while that is changed. */
  count: string
  /** Hash: a shard's place in such a change; a key that it is to hold then (functions/reshard.lua). */
  change: string
  next(id: string, name: string): string
  /** Stream of entries between bridge and executors, read by the group `executors`. */
  entries: string
  /** String: the payload of a large entry, beside the stream. */
  payload(partition: number, from: number, to: number): string
  /** Hash: per partition where the bridge, the finished prefix and the watermark stand. */
  ledger: string
  /** Hash: entries finished before those in front of them. */
  finished: string
  /** Hash: how far partly committed entries are. */
  progress: string
  /** Hash: entry → how often an executor died with it; entry → the records in hand at that. */
  crashes: string
  suspects: string
  /** Hash: executor → the record that it has in hand. */
  hand: string
  /** Hash of counters. */
  totals: string
  /** Hash: watermark, closedTo, the window that is being closed. */
  clock: string
  /** Hash: pane start → number of commits into it; the list of open panes. */
  panes: string
  pane(start: number): string
  /**
   * Of a job whose windows are told more than once. Set: panes with something to tell; sorted set: window's
   * end → when it is due; hash: window's end → its newest revision; sorted set: panes by their start.
   */
  changed: string
  revise: string
  revisions: string
  order: string
  /** Of a job with session windows. Hash: group → its open sessions; sorted set: group → when the first of them ends. */
  sessions: string
  ends: string
  /** Streams: rows of closed windows; rejected records; verdicts that depended on time or order. */
  closed: string
  /** Stream: rows of open windows, for the sinks that ask for them. */
  updates: string
  rejects: string
  verdicts: string
  /** Hash: partition:offset of a reject → what became of it (rejects/marks.ts). */
  handled: string
  /** Stream: ranges of offsets that Kafka deleted unread and that the operator gave up. */
  losses: string
  /** Hash: actor → what it last said of itself; sorted set: actor → when its lease ends. */
  actors: string
  leases: string
  /** Hash: what executors had counted that the register has forgotten (supervisor/tallies.ts). */
  gone: string
  /** Set: executors that left in order, whose entries carry no suspicion. */
  left: string
  mailbox(actor: string): string
  /** Sorted set: bridge → when its lease ends; hash: partition → the bridge that reads it. */
  bridges: string
  readers: string
  /** String: the leading supervisor. Hash: limits and pause. Stream: decisions. */
  leader: string
  control: string
  decisions: string
  /** Hash: when the next record is due by the job's pace, and what it has of Redis's memory (quota.ts). */
  quota: string
  /** Hash: how many executors each host is to have, and has (supervisor/places.ts). */
  hosts: string
  /** Stream: what the leader measured, once a second. */
  measurements: string
  /** Stream: how long decisions took to take effect. String: the supervisor's loop, in JSON. */
  effects: string
  loop: string
  /** String: what stood when the job's code was last changed, in JSON (functions/judged.lua). */
  judged: string
  /** Hash: where the job stands among its versions (lineage.ts). */
  version: string
  /** Hashes: sink → its account of itself, in JSON; sink → its position in `closed`. */
  sinks: string
  taken: string
  /** Hash: executors' time used, and what a static fleet would have used. */
  cost: string
}

/**
 * What all jobs on one Redis share, under a hash tag of its own, which no job's name can make (a job's
 * has a shard behind it). Hash: job → what its leading supervisor says of it (supervisor/entries.ts); and the same for
 * what each has and needs of the executors that they share (supervisor/pool.ts).
 */
export const shared = {
  base: 'millrace:{jobs}',
  register: 'millrace:{jobs}:register',
  pool: 'millrace:{jobs}:pool',
} as const

/** The consumer group of the entries and of mailboxes. */
export const GROUP = 'executors'

/** The mailbox of whichever supervisor leads. */
export const SUPERVISOR = 'supervisor'

/** The keys of a job of so many shards. */
export function keysOf(job: string, shards = 1): Keys {
  const own = { closed: 'partial', clock: 'clock', shards: [] }
  if (shards === 1) {
    const only = namesOf(job, 0, { ...own, closed: 'closed' })
    return Object.assign(only, { shards: [only] })
  }
  const all = Array.from({ length: shards }, (_, shard) => namesOf(job, shard, own))
  for (const one of all) one.shards = [one]
  return namesOf(job, 0, { closed: 'closed', clock: 'joined', shards: all })
}

function namesOf(
  job: string,
  shard: number,
  { closed, clock, shards }: { closed: string; clock: string; shards: Keys[] },
): Keys {
  const base = `millrace:{${job}/${shard}}`
  return {
    base,
    shards,
    shard,
    count: `${base}:shards`,
    change: `${base}:change`,
    next: (id, name) => `${base}:next:${id}:${name}`,
    entries: `${base}:entries`,
    payload: (partition, from, to) => `${base}:payload:${partition}:${from}:${to}`,
    ledger: `${base}:ledger`,
    finished: `${base}:finished`,
    progress: `${base}:progress`,
    crashes: `${base}:crashes`,
    suspects: `${base}:suspects`,
    hand: `${base}:hand`,
    totals: `${base}:totals`,
    clock: `${base}:${clock}`,
    panes: `${base}:panes`,
    changed: `${base}:changed`,
    revise: `${base}:revise`,
    revisions: `${base}:revisions`,
    order: `${base}:order`,
    sessions: `${base}:sessions`,
    ends: `${base}:ends`,
    pane: (start) => `${base}:pane:${start}`,
    closed: `${base}:${closed}`,
    updates: `${base}:updates`,
    rejects: `${base}:rejects`,
    verdicts: `${base}:verdicts`,
    handled: `${base}:handled`,
    losses: `${base}:losses`,
    actors: `${base}:actors`,
    leases: `${base}:leases`,
    gone: `${base}:gone`,
    left: `${base}:left`,
    mailbox: (actor) => `${base}:mailbox:${actor}`,
    bridges: `${base}:bridges`,
    readers: `${base}:readers`,
    leader: `${base}:leader`,
    control: `${base}:control`,
    decisions: `${base}:decisions`,
    quota: `${base}:quota`,
    hosts: `${base}:hosts`,
    measurements: `${base}:measurements`,
    effects: `${base}:effects`,
    loop: `${base}:loop`,
    judged: `${base}:judged`,
    version: `${base}:version`,
    sinks: `${base}:sinks`,
    taken: `${base}:taken`,
    cost: `${base}:cost`,
  }
}
