/**
 * Names that no other test and no other run has, so that tests share servers and nothing else.
 * They sort by time and tell which test they come from when one is left for inspection.
 */
import { systemClock } from '../actors/clock.ts'

let count = 0

/** `label` in small letters and dashes, then when and who: "late-records-m1x2y3z4-4711-1". */
export function uniqueName(label: string): string {
  const plain = label
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 40)
  count++
  return `${plain}-${systemClock.now().toString(36)}-${process.pid}-${count}`
}
