/**
 * What an append call brings, read from its arguments (append.lua).
 */
import type { Argument } from './server.ts'

export interface AppendPart {
  partition: number
  /** The next offset as the caller knows it, and what it becomes. */
  expected: number
  next: number
  high: number
  entries: { from: number; to: number }[]
}

export function readAppend(args: Argument[]): AppendPart[] {
  const parts: AppendPart[] = []
  let at = 4
  const number = () => Number(args[at++])
  while (at < args.length) {
    const [partition, expected, next, high] = [number(), number(), number(), number()]
    const entries = Array.from({ length: number() }, () => {
      const entry = { from: number(), to: number() }
      at += 2 // records, payload
      return entry
    })
    parts.push({ partition, expected, next, high, entries })
  }
  return parts
}
