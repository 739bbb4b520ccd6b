/** What all folds of a job have in common, made once. */
import type { Job } from '../job.ts'
import { isSession } from '../windows/span.ts'
import { type Adder, addersOf, type Sketcher, sketchersOf } from './adders.ts'
import { Scanner } from './scanner.ts'
import { compileSchema, type Validate } from './validate.ts'

export interface Plan {
  validate: Validate
  scanner: Scanner | null
  adders: Adder[]
  sketchers: Sketcher[]
  /** What merging a group costs Redis, before its sketches have entries, in groups that are merged one by one. */
  groupWeight: number
}

/** Slots alone are merged many groups at once; measured with 6 and with 70 slots. As in cells.lua. */
const slotsWeight = (slots: number): number => 0.3 + slots / 30

const plans = new WeakMap<Job, Plan>()

export function planOf(job: Job): Plan {
  const known = plans.get(job)
  if (known) return known
  const sketchers = sketchersOf(job)
  const plan = {
    validate: compileSchema(job.schema),
    scanner: Scanner.of(job),
    adders: addersOf(job),
    sketchers,
    groupWeight: groupWeight(job, sketchers),
  }
  plans.set(job, plan)
  return plan
}

function groupWeight(job: Job, sketchers: readonly Sketcher[]): number {
  const slots = slotsWeight(job.slots.length)
  if (sketchers.length === 0 && !isSession(job)) return slots
  return sketchers.reduce((sum, { weight }) => sum + weight, Math.max(1, slots))
}
