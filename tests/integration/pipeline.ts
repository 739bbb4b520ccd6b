/**
 * A pipeline for a test: a job of tests/fixtures/jobs, on the tests' own servers unless others are named.
 */
import { join } from 'node:path'
import { type Pipeline, type PipelineOptions } from '../../faults/pipeline.ts'
import { withPipeline as withNamedPipeline } from '../../faults/with-pipeline.ts'
import { testServices } from '../support/services.ts'

export { killQuietly, type Pipeline, scale } from '../../faults/pipeline.ts'

const jobs = join(import.meta.dir, '..', 'fixtures', 'jobs')

/** `job` is the name of a file in tests/fixtures/jobs. */
export async function withPipeline(
  options: Omit<PipelineOptions, 'services'> & Partial<Pick<PipelineOptions, 'services'>>,
  test: (pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const services = options.services ?? (await testServices())
  await withNamedPipeline({ ...options, job: join(jobs, options.job), services }, test)
}
