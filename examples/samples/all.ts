/** The samples by the names of their examples: NAME.ts is the job, NAME.ndjson the sample's lines. */
import { join } from 'node:path'
import { edits } from './edits.ts'
import { pageViews } from './page-views.ts'
import { payments } from './payments.ts'
import type { Sample } from './sample.ts'
import { sensors } from './sensors.ts'

export const exampleNames = ['page-views', 'sensors', 'edits', 'payments'] as const
export type ExampleName = (typeof exampleNames)[number]

export const samples = {
  'page-views': pageViews,
  sensors,
  edits,
  payments,
} satisfies Record<ExampleName, unknown> as Record<ExampleName, Sample>

const folder = join(import.meta.dir, '..')
export const jobFileOf = (name: ExampleName): string => join(folder, `${name}.ts`)
export const sampleFileOf = (name: ExampleName): string => join(folder, `${name}.ndjson`)
