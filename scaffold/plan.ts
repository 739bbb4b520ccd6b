/**
 * What a job could compute from records of a shape: by which field time goes, by which ones to group,
 * what to sum. A guess, for a person to change. Pure.
 */
import { UsageError } from '../actors/errors.ts'
import { kindOf, type Place, placesOf, type Shape } from './shape.ts'
import { guessTime, type TimeField, timeAt, timeForms } from './times.ts'

export interface Plan {
  root: Shape
  /** Null for the time that Kafka keeps: none of the fields could be it. */
  time: TimeField | null
  /** Grouped by these. */
  groups: Place[]
  /** Further fields with few values. */
  otherGroups: Place[]
  aggregates: PlannedAggregate[]
}

export interface PlannedAggregate {
  name: string
  kind: 'sum' | 'avg' | 'max'
  place: Place
}

const GROUPS_MOST = 2
/** Rows of a window that a first try may give. */
const ROWS_MOST = 1_000
const NUMBERS_MOST = 3
/** Below what a sum can hold (4.5 × 10⁹), with room for what the sample did not show. */
const SUMMED_MOST = 1e9
/** A number or a text that names one thing is no measure, and no group. */
const namesOne = /(^|[^a-z])(id|uuid|guid|key|hash|number|no)$|Id$|ID$/

/**
 * @param wanted the field that is the time, as `a.b`, where somebody said so
 * @throws UsageError where that can't be the event time
 */
export function planOf(root: Shape, wanted: string | undefined): Plan {
  const places = placesOf(root)
  const time = wanted === undefined ? guessTime(places) : wantedTime(places, wanted)
  const rest = places.filter(({ path }) => path !== time?.path)
  const candidates = rest.filter((place) => isGroup(place, root.objects.count))
  const groups = chosenGroups(candidates)
  return {
    root,
    time,
    groups,
    otherGroups: candidates.filter((place) => !groups.includes(place)),
    aggregates: aggregatesOf(rest),
  }
}

function wantedTime(places: readonly Place[], wanted: string): TimeField {
  const place = places.find(({ path }) => path.join('.') === wanted)
  if (!place)
    throw new UsageError(`--time ${JSON.stringify(wanted)}: these records have no such field`)
  const time = timeAt(place)
  if (time) return time
  const allowed = Object.values(timeForms).join(', ')
  throw new UsageError(
    `--time ${JSON.stringify(wanted)} must be in every record, and be one of ${allowed}`,
  )
}

/** Few values, and each more than once; a value that is missing would be rejected, null is a group. */
function isGroup({ path, shape, optional, mayLack }: Place, records: number): boolean {
  if (optional || (mayLack && path.length > 1) || namesOne.test(path.at(-1)!)) return false
  if (kindOf(shape) === 'boolean') return true
  if (kindOf(shape) !== 'string' || shape.strings.many) return false
  return shape.strings.distinct.size <= Math.max(1, records / 2)
}

/** Those with the fewest values, in the order of the record. */
function chosenGroups(candidates: readonly Place[]): Place[] {
  const chosen: Place[] = []
  let rows = 1
  for (const place of candidates.toSorted((a, b) => valuesOf(a) - valuesOf(b))) {
    const values = valuesOf(place)
    if (values < 2 || rows * values > ROWS_MOST || chosen.length === GROUPS_MOST) continue
    rows *= values
    chosen.push(place)
  }
  return candidates.filter((place) => chosen.includes(place))
}

/** Different values that a group was seen with. */
export const valuesOf = ({ shape }: Place): number =>
  (kindOf(shape) === 'boolean' ? 2 : shape.strings.distinct.size) + (shape.nulls > 0 ? 1 : 0)

function aggregatesOf(places: readonly Place[]): PlannedAggregate[] {
  const names = new Set(['records'])
  return places
    .filter(isMeasure)
    .slice(0, NUMBERS_MOST)
    .flatMap((place) => {
      const { whole, least, greatest } = place.shape.numbers
      const isSmall = Math.max(Math.abs(least), Math.abs(greatest)) < SUMMED_MOST
      const kinds = isSmall ? ([whole ? 'sum' : 'avg', 'max'] as const) : (['max'] as const)
      return kinds.map((kind) => ({ name: nameOf(kind, place, names), kind, place }))
    })
}

const isMeasure = (place: Place): boolean =>
  kindOf(place.shape) === 'number' &&
  !namesOne.test(place.path.at(-1)!) &&
  !timeAt(place) &&
  // A function would have to ask each object on the way whether it is there.
  (place.path.length === 1 || !place.mayLack)

const prefixes = { sum: 'total', avg: 'avg', max: 'max' } as const

/** A name of its own, made of the field's. */
function nameOf(kind: keyof typeof prefixes, { path }: Place, taken: Set<string>): string {
  const base = `${prefixes[kind]}_${path.join('_').replace(/\W+/g, '_')}`
  let name = base
  for (let again = 2; taken.has(name); again++) name = `${base}_${again}`
  taken.add(name)
  return name
}
