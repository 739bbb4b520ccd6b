/**
 * Loads a user's job file and says in one line what is wrong with it.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { hasChanged } from './code.ts'
import { messageOf, UsageError } from './errors.ts'
import type { Job } from './job.ts'
import { isJobName, JOB_NAME_RULE } from './names.ts'

export const SHIPPED_JOB = 'jobs/students.ts'

/**
 * The job that a file exports by default. A child of a supervisor loads what its supervisor has loaded: records
 * are not judged, nor windows read, by two files at once because one was edited meanwhile.
 * @throws UsageError that names the file and what is wrong: not there, syntax, fields, no job, changed
 */
export async function loadJob(path: string, environment = process.env): Promise<Job> {
  const { MILLRACE_AS, MILLRACE_CODE = '', MILLRACE_CODE_FILES = '' } = environment
  const file = resolve(path)
  if (!existsSync(file)) throw new UsageError(`job file ${path} does not exist`)
  let module: { default?: Job }
  try {
    module = (await import(file)) as { default?: Job }
  } catch (error) {
    // By its name: a compiled actor and the job's file have each a class of their own.
    if ((error as Error | null)?.name === 'JobError')
      throw new UsageError(`job file ${path}: ${messageOf(error)}`)
    throw new UsageError(`job file ${path} can't be loaded: ${loadMessage(error)}`, {
      cause: error,
    })
  }
  if (typeof module.default?.ops !== 'string') {
    throw new UsageError(`job file ${path} must have: export default defineJob({ … })`)
  }
  const known = { hash: MILLRACE_CODE, files: MILLRACE_CODE_FILES }
  if (known.files && (await hasChanged(file, known))) {
    throw new UsageError(
      `job file ${path} has changed since its supervisor began: restart the supervisor to run it as it is now, or put it back`,
    )
  }
  return asVersion(module.default, MILLRACE_AS)
}

/** The sinks that a file declares, and how often they hear of open windows; also for a version, which writes to them once it is the one. */
export async function declaredSinks(path: string): Promise<Pick<Job, 'sinks' | 'updatesMs'>> {
  const module = (await import(resolve(path))) as { default?: Job }
  const { sinks = [], updatesMs = 0 } = module.default ?? {}
  return { sinks, updatesMs }
}

/**
 * The job under another name, beside the one that runs under its own: a version of it. In the environment,
 * so that each process of a pipeline goes by it. It has no sinks, as what they have is the job's, unless it
 * goes on from the job as its shadow: then its supervisor says so to those that it starts.
 * @throws UsageError where it is no name
 */
function asVersion(job: Job, name: string | undefined): Job {
  if (!name) return job
  if (isJobName(name) && process.env.MILLRACE_SINKS === 'yes') return { ...job, name }
  if (isJobName(name)) return { ...job, name, sinks: [], updatesMs: 0 }
  throw new UsageError(
    `--as and MILLRACE_AS must be a job's name (${JOB_NAME_RULE}), not ${JSON.stringify(name)}`,
  )
}

/** Bun reports syntax errors as an aggregate with positions. */
function loadMessage(error: unknown): string {
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  const position = (first as { position?: { line: number; column: number } } | null)?.position
  const where = position ? ` (line ${position.line}, column ${position.column})` : ''
  return `${messageOf(first)}${where}`
}
