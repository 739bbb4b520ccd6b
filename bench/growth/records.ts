/**
 * Bodies of records (what stands behind the timestamp, bench/fill.ts) for settings that the shipped
 * job's own do not have. Pure.
 */
import { activities, bodyMaker } from '../../actors/producer/records.ts'

export type Body = { key: string; rest: string }

/** The shipped job's records over so many groups, a multiple of its five activities. */
export function groupedBodyMaker(random: () => number, groups: number): () => Body {
  const body = bodyMaker(random)
  const courses = groups / activities.length
  return () => {
    const { key, rest } = body()
    const course = `"course":"course ${Math.floor(random() * courses)}"`
    return { key, rest: rest.replace(/"course":"[^"]*"/, course) }
  }
}

/** Bytes in front of the body: `{"timestamp":1700000000.123,` */
const HEAD_BYTES = 27

/** Records of bench/jobs/padded.ts, `bytes` long but for two or three: 25 groups as the shipped job. */
export function paddedBodyMaker(random: () => number, bytes: number): () => Body {
  const below = (limit: number) => Math.floor(random() * limit)
  return () => {
    const values = `"room":"r${below(5)}","kind":"k${below(5)}","lines":${below(150)},"cpu":${10 + below(8_000) / 100}`
    const padding = bytes - HEAD_BYTES - values.length - ',"pad":""}'.length
    return { key: `room-${below(1_000)}`, rest: `${values},"pad":"${'x'.repeat(padding)}"}` }
  }
}
