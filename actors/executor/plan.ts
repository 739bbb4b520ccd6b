/** What all folds of a job have in common, made once. */
import type { Job } from '../job.ts'
import { type Adder, addersOf, type Sketcher, sketchersOf } from './adders.ts'
import { Scanner } from './scanner.ts'
import { compileSchema, type Validate } from './validate.ts'

export interface Plan {
  validate: Validate
  scanner: Scanner | null
  adders: Adder[]
  sketchers: Sketcher[]
}

const plans = new WeakMap<Job, Plan>()

export function planOf(job: Job): Plan {
  const known = plans.get(job)
  if (known) return known
  const plan = {
    validate: compileSchema(job.schema),
    scanner: Scanner.of(job),
    adders: addersOf(job),
    sketchers: sketchersOf(job),
  }
  plans.set(job, plan)
  return plan
}
