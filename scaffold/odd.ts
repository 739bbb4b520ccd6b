/**
 * Records that are not like the others: a field is missing that nearly all have, or holds a kind of
 * value that nearly none has. A schema that takes them too would take anything. Pure.
 */
import { kindsOf, type Shape, shapeOf } from './shape.ts'

/** What so few of a sample have is a mistake rather than a rule. */
const ODD_SHARE = 0.02
/** Of fewer records nothing can be said. */
const RECORDS_LEAST = 50

export interface Sorted {
  usual: readonly object[]
  /** What was odd of each of the others, as `field course is missing`, each with how many. */
  odd: string[]
}

export function withoutOdd(records: readonly object[]): Sorted {
  if (records.length < RECORDS_LEAST) return { usual: records, odd: [] }
  const { fields } = shapeOf(records).objects
  const counts = new Map<string, number>()
  const usual = records.filter((record) => {
    const why = oddityOf(record, fields, records.length)
    if (why !== null) counts.set(why, (counts.get(why) ?? 0) + 1)
    return why === null
  })
  // Where much is odd, that is how these records are.
  if (records.length - usual.length > records.length * ODD_SHARE * 2) {
    return { usual: records, odd: [] }
  }
  return { usual, odd: [...counts].map(([why, count]) => `${count} in which ${why}`) }
}

/** The first thing that is odd of a record's own fields; inner ones are taken as they come. */
function oddityOf(
  record: object,
  fields: ReadonlyMap<string, Shape>,
  records: number,
): string | null {
  const rare = records * ODD_SHARE
  for (const [name, shape] of fields) {
    if (!Object.hasOwn(record, name)) {
      if (records - shape.seen <= rare) return `${name} is missing`
      continue
    }
    const value = shapeOf([(record as Record<string, unknown>)[name]])
    const [kind] = kindsOf(value)
    const isRare = kind !== undefined && kindsOf(shape).length > 1 && countOf(shape, kind) <= rare
    if (isRare) return `${name} is a ${kind}`
  }
  return null
}

function countOf(shape: Shape, kind: ReturnType<typeof kindsOf>[number]): number {
  switch (kind) {
    case 'boolean':
      return shape.booleans
    case 'number':
      return shape.numbers.count
    case 'string':
      return shape.strings.count
    case 'array':
      return shape.arrays.count
    case 'object':
      return shape.objects.count
    default:
      return kind satisfies never
  }
}
