/**
 * Structured logs: one line an event to stderr, for people on a terminal, JSON otherwise; LOG_FORMAT
 * (`text`, `json`) says it whatever stderr is. What the world wrote is escaped and cut, in the event
 * as in values, so that a line stays one line of bounded length and steers no terminal.
 */
import { systemClock } from './clock.ts'
import { causesOf } from './errors.ts'
import { cutText, escaped, escapedJson } from './escape.ts'

const levels = { debug: 10, info: 20, warn: 30, error: 40 } as const
export type Level = keyof typeof levels

/** Characters of an event and of a value, and how many fields a line has at the most. */
const most = { event: 1_000, value: 500, name: 60, fields: 32 } as const
/** Names that a line has already. */
const reserved: ReadonlySet<string> = new Set(['at', 'level', 'actor', 'event'])

export interface Log {
  debug(event: string, fields?: Fields): void
  info(event: string, fields?: Fields): void
  warn(event: string, fields?: Fields): void
  error(event: string, fields?: Fields): void
}
/** An error is told with its causes. */
export type Fields = Record<string, string | number | boolean | null | undefined | Error>

interface Line {
  at: string
  level: Level
  actor: string
  event: string
  fields: [name: string, value: string | number | boolean | null][]
}

/** For people: `human`, with `colour` where their terminal takes it. */
export interface LogFormat {
  human: boolean
  colour: boolean
}

/** By LOG_FORMAT, by what stderr is, and by what is said of colours (no-color.org). */
export function logFormat(
  environment: Record<string, string | undefined> = process.env,
  isTerminal: boolean = process.stderr.isTTY,
): LogFormat {
  const { LOG_FORMAT, NO_COLOR, TERM } = environment
  const human = LOG_FORMAT ? LOG_FORMAT === 'text' : isTerminal
  return { human, colour: human && isTerminal && !NO_COLOR && TERM !== 'dumb' }
}

/** A log whose lines carry `actor`. */
export function createLog(
  actor: string,
  level: Level = 'info',
  write = (line: string) => void process.stderr.write(line),
  format: LogFormat | boolean = logFormat(),
): Log {
  const { human, colour } = typeof format === 'boolean' ? { human: format, colour: false } : format
  const at =
    (lineLevel: Level) =>
    (event: string, fields: Fields = {}) => {
      if (levels[lineLevel] < levels[level]) return
      const time = new Date(systemClock.now()).toISOString()
      const text = cutText(event, most.event)
      const line = { at: time, level: lineLevel, actor, event: text, fields: kept(fields) }
      write(human ? humanLine(line, colour) : jsonLine(line))
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function jsonLine({ fields, ...line }: Line): string {
  const named = fields.map(([name, value]) => [reserved.has(name) ? `${name}_` : name, value])
  return `${escapedJson(JSON.stringify({ ...line, ...Object.fromEntries(named) }))}\n`
}

const paint = { debug: '2', info: '32', warn: '33', error: '31', time: '2', names: '36' } as const

function humanLine({ at, level, actor, event, fields }: Line, colour: boolean): string {
  const painted = (code: keyof typeof paint, text: string) =>
    colour ? `\x1b[${paint[code]}m${text}\x1b[0m` : text
  const pairs = fields.map(
    ([name, value]) => `${painted('names', `${escaped(name)}=`)}${escaped(JSON.stringify(value))}`,
  )
  const words = [
    painted('time', at.slice(11, 23)),
    painted(level, level.toUpperCase().padEnd(5)),
    escaped(actor).padEnd(12),
    escaped(event),
    ...pairs,
  ]
  return `${words.join(' ')}\n`
}

/** Fields as they are told: those that are there, cut, and no more than a line has room for. */
function kept(fields: Fields): Line['fields'] {
  const all = Object.entries(fields).filter(([, value]) => value !== undefined)
  const told = all
    .slice(0, most.fields)
    .map(([name, value]): Line['fields'][number] => [cutText(name, most.name), plain(value)])
  if (all.length > told.length) told.push(['fieldsLeftOut', all.length - told.length])
  return told
}

/** A child's line can bring what is none of these types; a log never throws. */
function plain(value: unknown): string | number | boolean | null {
  if (value === null || typeof value === 'boolean') return value
  // JSON has no NaN and no infinities, and would say null.
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'string') return cutText(value, most.value)
  if (value instanceof Error) return cutText(causesOf(value), most.value)
  return cutText(textOf(value), most.value)
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
