/**
 * GET /api/jobs and what may be done to a job of the list, for the page of all jobs (page/jobs.html).
 * Any job's web process answers for all of them: they are in the same Redis.
 */
import type { Hono } from 'hono'
import { forgetJob, refusalOf } from '../supervisor/forget.ts'
import { createJobsReader } from '../supervisor/jobs.ts'
import type { WebParts } from './app.ts'
import { HttpError } from './errors.ts'
import { addressOf, controlGuards } from './guard.ts'
import { describe, noBody } from './openapi.ts'
import { jobParam } from './queries.ts'
import { refusalsLogged } from './refused.ts'
import * as schemas from './schemas.ts'
import { checked, withoutBody, withoutQuery } from './validate.ts'

export function addJobs(
  app: Hono,
  { store, clock, token, log }: Pick<WebParts, 'store' | 'clock' | 'token' | 'log'>,
): void {
  const look = createJobsReader(store, clock)
  const jobs = describe({
    id: 'listJobs',
    tag: 'State',
    summary: 'All jobs on this Redis, the stopped ones too',
    description: 'Measured once in two seconds at the most, however many ask.',
    answers: { 200: schemas.jobsSchema },
  })
  app.get('/api/jobs', jobs, withoutQuery, async (c) => c.json(await look()))

  app.on('POST', ['/api/jobs/:job/forget'], refusalsLogged(log, clock), ...controlGuards(token))
  const forget = describe({
    id: 'forgetJob',
    tag: 'Control',
    summary: 'Takes a job that is stopped off the list',
    description:
      'What it has in Redis stays, and it is on the list again when it is started again.',
    answers: { 200: schemas.forgetSchema },
    fails: ['NotFound', 'Conflict'],
  })
  const named = checked('param', jobParam)
  app.post('/api/jobs/:job/forget', forget, noBody, withoutQuery, withoutBody, named, async (c) => {
    const { job } = c.req.valid('param')
    const outcome = await forgetJob(store, job)
    if (outcome === 'leads') throw new HttpError(409, 'at_work', refusalOf(outcome, job))
    if (outcome === 'absent') throw new HttpError(404, 'not_found', refusalOf(outcome, job))
    log.info('control: forget', { forgotten: job, caller: addressOf(c) ?? 'unknown' })
    return c.json({ job, forgotten: true as const })
  })
}
