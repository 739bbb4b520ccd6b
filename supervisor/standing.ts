/**
 * How the partitions of a shard stand, and which watermark those of all shards allow: the same rule by which
 * a job of one shard moves its own (actors/windows/advance.lua). Pure.
 */
import { leastOf } from '../actors/least.ts'

export interface Standing {
  /** Of its partitions: there is none that has brought anything; all are idle; one is read, or not read yet. */
  state: 'none' | 'idle' | 'running' | 'unread'
  /** Event times, epoch ms: the least of the highest of those that are read; the highest of all. */
  least: number | null
  greatest: number | null
  /** Since the last record, by the shard's own clock; ms. */
  sinceMs: number | null
  /** The partition that holds the watermark, as its number in text; '' for none. */
  holder: string
  watermark: number | null
  closedTo: number | null
}

export function standingOf(reply: readonly string[]): Standing {
  const [state, least, greatest, since, holder = '', watermark, closedTo] = reply
  const number = (text = '') => (text === '' ? null : Number(text))
  return {
    state: state as Standing['state'],
    least: number(least),
    greatest: number(greatest),
    sinceMs: number(since),
    holder,
    watermark: number(watermark),
    closedTo: number(closedTo),
  }
}

/** Null where a partition holds it, or none has brought anything. */
export function allowedBy(standings: readonly Standing[], delayMs: number): number | null {
  if (standings.some(({ state }) => state === 'unread')) return null
  const running = standings.filter(({ state }) => state === 'running')
  const held = leastOf(running.map(({ least }) => least))
  if (running.length > 0) return held === null ? null : held - delayMs
  const told = standings.filter(({ state }) => state === 'idle')
  const newest = Math.max(...told.map(({ greatest }) => greatest ?? -Infinity))
  const sinceMs = Math.min(...standings.map((one) => one.sinceMs ?? Infinity))
  return told.length > 0 ? newest - delayMs + sinceMs : null
}
