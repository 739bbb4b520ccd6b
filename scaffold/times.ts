/**
 * Which field is the event time, and in which unit: by what its values could be, and by its name.
 * Pure.
 */
import { type Place, kindOf, valueAt } from './shape.ts'

export const timeForms = {
  s: 'epoch seconds',
  ms: 'epoch milliseconds',
  us: 'epoch microseconds',
  ns: 'epoch nanoseconds',
  iso: 'ISO 8601',
  'iso-local': 'ISO 8601 without a zone, taken as UTC',
} as const
export type TimeForm = keyof typeof timeForms

export interface TimeField {
  path: readonly string[]
  form: TimeForm
  /** A number that is written as text. */
  quoted: boolean
}

/** 2001 to 2100, in seconds: no count of anything usual is as large as its milliseconds. */
const FROM_S = 978_307_200
const TO_S = 4_102_444_800

const unitsPerSecond = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 } as const

const iso = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?$/
const zone = /(Z|[+-]\d\d:?\d\d)$/

/** The likeliest one of all places; null where none could be it. */
export function guessTime(places: readonly Place[]): TimeField | null {
  const scored = places.flatMap((place) => {
    const time = timeAt(place)
    const score = time ? scoreOf(place.path, time.form) : 0
    return time && score > 0 ? [{ time, score }] : []
  })
  // Sorting is stable: of equals the first.
  return scored.sort((a, b) => b.score - a.score)[0]?.time ?? null
}

/** The form of a place's values; null where they are no times, or may be missing. */
export function timeAt({ path, shape, mayLack }: Place): TimeField | null {
  if (mayLack) return null
  const kind = kindOf(shape)
  if (kind === 'string') return textTime(path, shape.strings.first)
  if (kind !== 'number') return null
  const form = epochForm(shape.numbers.least, shape.numbers.greatest)
  return form && { path, form, quoted: false }
}

function textTime(path: readonly string[], texts: readonly string[]): TimeField | null {
  if (texts.every((text) => iso.test(text) && Number.isFinite(Date.parse(text)))) {
    const zoned = texts.filter((text) => zone.test(text)).length
    if (zoned === texts.length) return { path, form: 'iso', quoted: false }
    return zoned === 0 ? { path, form: 'iso-local', quoted: false } : null
  }
  if (!texts.every((text) => /^\d{9,19}(\.\d+)?$/.test(text))) return null
  const numbers = texts.map(Number)
  const form = epochForm(Math.min(...numbers), Math.max(...numbers))
  return form && { path, form, quoted: true }
}

function epochForm(least: number, greatest: number): keyof typeof unitsPerSecond | null {
  const found = Object.entries(unitsPerSecond).find(
    ([, units]) => least >= FROM_S * units && greatest <= TO_S * units,
  )
  return (found?.[0] as keyof typeof unitsPerSecond | undefined) ?? null
}

/** 0 for what is no likelier to be a time than something else. */
function scoreOf(path: readonly string[], form: TimeForm): number {
  const byName = nameScore(path.at(-1)!)
  // Ten digits are many an id's.
  if (form === 's' && byName === 0) return 0
  const byForm = form === 's' ? 1 : form.startsWith('iso') ? 3 : 2
  return Math.max(1, byName * 2 + byForm - (path.length - 1))
}

function nameScore(name: string): number {
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z]+/)
  const isTime = words.some((word) => /^(ts|at|.*time|.*timestamp|date|datetime|when)$/.test(word))
  if (!isTime) return 0
  if (words.some((word) => word.startsWith('event'))) return 5
  if (words.some((word) => /^(updated?|modified|ingest|processed?|expir|deleted?)/.test(word))) {
    return 2
  }
  return words.length === 1 ? 4 : 3
}

/** Epoch ms of a record, as the generated code computes them. */
export function timeOf(record: unknown, { path, form, quoted }: TimeField): number {
  const value = valueAt(record, path)
  switch (form) {
    case 'iso':
      return Date.parse(value as string)
    case 'iso-local':
      return Date.parse(`${value as string}Z`)
    case 's':
      return (quoted ? Number(value) : (value as number)) * 1_000
    case 'ms':
    case 'us':
    case 'ns':
      return (quoted ? Number(value) : (value as number)) / (unitsPerSecond[form] / 1e3)
    default:
      return form satisfies never
  }
}

/** The same as source, of `record`'s field. */
export function timeSource(field: string, { form, quoted }: TimeField): string {
  const number = quoted ? `Number(${field})` : field
  switch (form) {
    case 'iso':
      return `Date.parse(${field})`
    case 'iso-local':
      return `Date.parse(\`\${${field}}Z\`)`
    case 's':
      return `${number} * 1_000`
    case 'ms':
      return number
    case 'us':
      return `${number} / 1_000`
    case 'ns':
      return `${number} / 1_000_000`
    default:
      return form satisfies never
  }
}
