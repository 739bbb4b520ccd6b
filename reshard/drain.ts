/**
 * Ends what is under way in the old shards: entries that wait are processed by an executor in this process,
 * and what all shards may close is closed and joined. After it nothing moves in them.
 */
import { runExecutor } from '../actors/executor/run.ts'
import { RefusalError, messageOf } from '../actors/errors.ts'
import { type Host, systemHost } from '../actors/host.ts'
import type { Keys } from '../actors/keys.ts'
import { createLog } from '../actors/log.ts'
import type { Store } from '../actors/redis.ts'
import { advance } from '../supervisor/closing.ts'
import type { Change } from './change.ts'

const LOOK_EVERY_MS = 20

/** Connections that block, as an executor reads by. */
export type OpenReader = () => Store

interface Look {
  /** Entries in the streams. */
  entries: number
  /** Shards with partitions that are not finished, though no entry waits. */
  unfinished: number[]
  closing: boolean
  /** To where each shard has closed, and what is joined; '' for nothing yet. */
  closedTo: string[]
}

/** @throws RefusalError where something is missing that no executor can bring */
export async function drain(
  change: Change,
  openReader: OpenReader,
  code: string | null,
): Promise<void> {
  const { store, from, job, lease, clock, tell } = change
  if (code !== null) {
    for (const { base } of from.shards) await store.call('judged', base, [code])
  }
  const executor = new DrainingExecutor(change, openReader)
  try {
    for (;;) {
      const before = await look(change)
      do await lease.keep()
      while (await advance(store, from, job))
      const now = await look(change)
      if (isStill(now)) return
      if (before.entries + now.entries === 0 && !executor.works) refuseStuck(change, now)
      if (now.entries > 0) {
        tell(`${now.entries} entries wait`)
        executor.start()
      } else {
        await executor.end()
      }
      executor.check()
      await clock.sleep(LOOK_EVERY_MS)
    }
  } finally {
    await executor.end()
  }
}

class DrainingExecutor {
  readonly #change: Change
  readonly #openReader: OpenReader
  #running: Promise<void> | null = null
  #asked = new AbortController()
  #failure: { error: unknown } | null = null

  constructor(change: Change, openReader: OpenReader) {
    this.#change = change
    this.#openReader = openReader
  }

  get works(): boolean {
    return this.#running !== null
  }

  start(): void {
    if (this.#running) return
    this.#asked = new AbortController()
    this.#running = this.#run(this.#asked.signal).catch((error: unknown) => {
      this.#failure = { error }
    })
  }

  async end(): Promise<void> {
    this.#asked.abort('nothing waits any more')
    await this.#running
    this.#running = null
  }

  /** @throws what it ended with */
  check(): void {
    if (!this.#failure) return
    const { error } = this.#failure
    throw new RefusalError(`the executor of reshard failed: ${messageOf(error)}; run it again`, {
      cause: error,
    })
  }

  async #run(asked: AbortSignal): Promise<void> {
    const { store: writer, job, from: keys, clock } = this.#change
    const readers = keys.shards.map(() => this.#openReader())
    try {
      const log = createLog('reshard', 'warn')
      await runExecutor({ job, keys, id: undefined, writer, readers, clock, host, log, asked })
    } finally {
      for (const reader of readers) await reader.close()
    }
  }
}

/** Ctrl-C ends the command where it is: it can be run again at any time. */
const host: Host = {
  ...systemHost,
  onAsked: () => undefined,
}

async function look({ store, from }: Change): Promise<Look> {
  const shards = await Promise.all(from.shards.map((shard) => lookAt(store, shard)))
  const [joinedTo, joining] = await store.redis.hmget(from.clock, 'closedTo', 'closing')
  return {
    entries: shards.reduce((sum, { entries }) => sum + entries, 0),
    unfinished: from.shards.flatMap(({ shard }, i) => (shards[i]!.unfinished ? [shard] : [])),
    closing: Boolean(joining) || shards.some(({ closing }) => closing),
    closedTo: [...shards.map(({ closedTo }) => closedTo), joinedTo ?? ''],
  }
}

async function lookAt({ redis }: Store, shard: Keys) {
  const [ledger, clock, entries, ahead] = await Promise.all([
    redis.hgetall(shard.ledger),
    redis.hmget(shard.clock, 'closing', 'closedTo'),
    redis.xlen(shard.entries),
    redis.hlen(shard.finished),
  ])
  const behind = Object.keys(ledger).some(
    (field) =>
      field.endsWith(':next') && ledger[field] !== ledger[field.replace(/next$/, 'frontier')],
  )
  return {
    entries,
    unfinished: behind || ahead > 0,
    closing: Boolean(clock[0]),
    closedTo: clock[1] ?? '',
  }
}

const isStill = ({ entries, unfinished, closing, closedTo }: Look): boolean =>
  entries === 0 && unfinished.length === 0 && !closing && new Set(closedTo).size === 1

/** Nothing waits, nothing more can be closed, and yet the shards do not agree. */
function refuseStuck({ from, job }: Change, { unfinished, closedTo }: Look): never {
  const back = `give it up with bun run reshard --to ${from.shards.length}, and let a supervisor run until it has caught up`
  if (unfinished.length > 0) {
    throw new RefusalError(
      `entries of shard ${unfinished.join(', ')} of job ${job.name} are gone from Redis and will never be finished; ${back}`,
    )
  }
  const times = closedTo.slice(0, from.shards.length).map((text) => text || 'nothing')
  throw new RefusalError(
    `the shards of job ${job.name} have closed to ${times.join(', ')}, as one of them has come back as it was before; ${back}`,
  )
}
