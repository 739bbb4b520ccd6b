/**
 * The wait of a warm executor: its program is loaded and its connections are open, and it takes
 * nothing and says nothing until its supervisor lets it begin. From then on it is like any other.
 *
 *   warm ──`begin` in its mailbox──► runExecutor   ·   warm ──asked to end, supervisor gone──► exit 0
 *
 * The message stays in the mailbox, so it is found also by one that connects after it was sent.
 */
import * as v from 'valibot'
import type { Clock } from '../clock.ts'
import { bounds } from '../config.ts'
import type { Keys } from '../keys.ts'
import { messageSchema } from '../messages.ts'
import { isOutage, type Store, untilReady } from '../redis.ts'

export interface WarmParts {
  /** A connection of its own, which may block for `warmBlockMs`. */
  mailbox: Store
  keys: Keys
  id: string
  clock: Clock
  /** Aborted when the process is asked to end. */
  asked: AbortSignal
}

/** True when it may begin; false when it is asked to end before that. */
export async function untilBegun({ mailbox, keys, id, clock, asked }: WarmParts): Promise<boolean> {
  const ended = new Promise<'asked'>((resolve) => {
    if (asked.aborted) resolve('asked')
    asked.addEventListener('abort', () => resolve('asked'))
  })
  await untilReady(mailbox, asked, clock)
  for (let last = '0'; !asked.aborted; ) {
    try {
      const messages = await Promise.race([ended, read(mailbox, keys.mailbox(id), last)])
      if (messages === 'asked') return false
      if (messages.some(([, fields]) => isBegin(fields[1]))) return true
      last = messages.at(-1)?.[0] ?? last
    } catch (error) {
      if (!isOutage(error)) throw error
      await clock.sleep(200, asked)
    }
  }
  return false
}

async function read({ redis }: Store, key: string, last: string): Promise<[string, string[]][]> {
  const reply = await redis.xread('BLOCK', bounds.warmBlockMs, 'STREAMS', key, last)
  return reply?.[0]?.[1] ?? []
}

function isBegin(text: string | undefined): boolean {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), messageSchema), text)
  return parsed.success && parsed.output.kind === 'begin'
}
