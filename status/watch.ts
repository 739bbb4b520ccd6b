/**
 * Looks again and again, until the process is ended or nobody reads any more: on a terminal in place,
 * otherwise a line a look. An outage of Redis is said and outlasted.
 */
import { type Clock, systemClock } from '../actors/clock.ts'
import { exitCodes } from '../actors/errors.ts'
import { unread } from '../actors/output.ts'
import { isOutage } from '../actors/redis.ts'
import { inColour, type Line, lineText } from './lines.ts'
import { type Look, lookAt } from './look.ts'
import type { Place } from './place.ts'
import { statusLines, watchLine } from './text.ts'

export interface Watch {
  everyMs: number
  json: boolean
  out?: NodeJS.WriteStream
  clock?: Clock
}

export async function watch(place: Place, options: Watch): Promise<number> {
  const { everyMs, json, out = process.stdout, clock = systemClock } = options
  const inPlace = out.isTTY && !json
  const ended = unread(out)
  while (!ended.aborted) {
    const look = await lookAt(place.reader).catch(outageAsNull)
    if (inPlace) out.write(frame(linesOf(look, place.silence), out))
    else if (look) out.write(`${json ? JSON.stringify(look) : logLine(look)}\n`)
    else process.stderr.write(`status: ${place.silence}\n`)
    await clock.sleep(everyMs, ended)
  }
  return exitCodes.done.code
}

/** Written over what stands there: cleared line by line, since a whole one would flicker. */
export function frame(lines: readonly Line[], out: NodeJS.WriteStream): string {
  const paper = { columns: out.columns || 80, colour: inColour(out) }
  const shown = lines.slice(0, Math.max(1, (out.rows || 24) - 1))
  return `\x1b[H${shown.map((line) => `${lineText(line, paper)}\x1b[K\n`).join('')}\x1b[J`
}

const linesOf = (look: Look | null, silence: string): Line[] =>
  look ? statusLines(look) : [[{ text: silence, colour: 'red' }]]

const logLine = (look: Look) => lineText(watchLine(look), { columns: Infinity, colour: false })

export function outageAsNull(error: unknown): null {
  if (!isOutage(error)) throw error
  return null
}
