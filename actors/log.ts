/**
 * Structured logs: one line an event, people's form on a terminal, JSON otherwise, to stderr.
 */
import { systemClock } from './clock.ts'

const levels = { debug: 10, info: 20, warn: 30, error: 40 } as const
export type Level = keyof typeof levels

export interface Log {
  debug(event: string, fields?: Fields): void
  info(event: string, fields?: Fields): void
  warn(event: string, fields?: Fields): void
  error(event: string, fields?: Fields): void
}
export type Fields = Record<string, string | number | boolean | null | undefined>

/** A log whose lines carry `actor`; values are cut at 500 characters. */
export function createLog(
  actor: string,
  level: Level = 'info',
  write = (line: string) => void process.stderr.write(line),
  human = process.stderr.isTTY,
): Log {
  const at =
    (lineLevel: Level) =>
    (event: string, fields: Fields = {}) => {
      if (levels[lineLevel] < levels[level]) return
      const time = new Date(systemClock.now()).toISOString()
      write(
        human
          ? humanLine(time, lineLevel, actor, event, fields)
          : jsonLine(time, lineLevel, actor, event, fields),
      )
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function jsonLine(at: string, level: Level, actor: string, event: string, fields: Fields) {
  return `${JSON.stringify({ at, level, actor, event, ...fields }, cut)}\n`
}

function humanLine(at: string, level: Level, actor: string, event: string, fields: Fields) {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${JSON.stringify(cut('', value))}`)
  const mark = level === 'info' ? '' : `${level.toUpperCase()} `
  return `${at.slice(11, 23)} ${actor.padEnd(12)} ${mark}${event} ${pairs.join(' ')}\n`
}

const cut = (_: string, value: unknown) =>
  typeof value === 'string' && value.length > 500 ? `${value.slice(0, 499)}…` : value
