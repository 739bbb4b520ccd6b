/**
 * A supervisor's life: waits for Redis, says who it is, leads or stands by, ends its family. What it
 * needs is passed in, so that a simulation runs the same.
 */
import type { Clock } from '../actors/clock.ts'
import type { Keys } from '../actors/keys.ts'
import type { Lifecycle } from '../actors/lifecycle.ts'
import { isOutage, type Store, untilReady } from '../actors/redis.ts'
import { listen, type Pulse } from './pulse.ts'
import type { Supervisor } from './supervisor.ts'

export interface BeginParts {
  store: Store
  life: Lifecycle
  clock: Clock
  /** Looks whether the server will do; rejects where it will not. */
  check: () => Promise<void>
}

/** Waits for Redis, checks it and says who we are. */
export async function begin({ store, life, clock, check }: BeginParts): Promise<void> {
  for (;;) {
    await untilReady(store, undefined, clock)
    try {
      await check()
      await life.start()
      return
    } catch (error) {
      // It went away again in between.
      if (!isOutage(error)) throw error
    }
  }
}

export interface SupervisorParts {
  supervisor: Supervisor
  life: Lifecycle
  /** Connections that serve the mailbox alone, of each shard one. */
  mailboxes: readonly Store[]
  keys: Keys
  pulse: Pulse
  clock: Clock
  /** What else runs until the signal. */
  beside?: (signal: AbortSignal) => Promise<void>
}

/** Runs until the actor is asked to end, and until its family has ended. */
export async function runSupervisor(parts: SupervisorParts): Promise<void> {
  const { supervisor, life, mailboxes, keys, pulse, clock, beside } = parts
  life.to('running')
  const ended = life.draining
  const background = keys.shards.map((shard, i) => {
    const mailbox = mailboxes[i]!
    ended.addEventListener('abort', () => void mailbox.close())
    return listen(mailbox, shard, pulse, clock, ended)
  })
  if (beside) background.push(beside(ended))
  await supervisor.run(ended)
  await Promise.all(background)
  await life.leave()
}
