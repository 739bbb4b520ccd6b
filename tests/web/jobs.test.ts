/** GET /api/jobs, and forgetting a job, as the page asks for them. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { createLog } from '../../actors/log.ts'
import { systemClock } from '../../actors/clock.ts'
import { uniqueName } from '../../faults/names.ts'
import { Registration, removeEntry } from '../../supervisor/entries.ts'
import { openWeb, post, type Web } from './setup.ts'

const limits = { min: 0, max: 4, policy: 'backlog', maxResultDelayMs: 2_000 }
const token = 'canary-4711-canary'
const authorized = post({}, { Authorization: `Bearer ${token}` })

let web: Web
let stopped: string
let lines: string[]
beforeEach(async () => {
  lines = []
  const log = createLog('web', 'debug', (line) => void lines.push(line), false)
  web = await openWeb('jobs', { token, log })
  stopped = uniqueName('jobs-stopped')
  const { store, keys, job } = web.seeded
  for (const name of [job.name, stopped]) {
    const about = { job: name, topics: ['records'], host: 'h1', page: null }
    await new Registration(store, systemClock, about).refresh(limits)
  }
  await store.call('lead', keys.base, ['leader', 's1', 60_000])
})
afterEach(async () => {
  for (const name of [web.seeded.job.name, stopped]) await removeEntry(web.seeded.store, name)
  await web.end()
})

test('tells of all jobs on the Redis', async () => {
  const { status, body } = await web.json('/api/jobs')
  expect(status).toBe(200)
  const jobs = body.jobs as { job: string; state: string }[]
  const stateOf = (name: string) => jobs.find(({ job }) => job === name)?.state
  expect([stateOf(web.seeded.job.name), stateOf(stopped)]).toEqual(['running', 'stopped'])
  expect((await web.json('/api/jobs?limit=1')).status).toBe(400)
})

test('the job tells how many there are, so that its page can link to them', async () => {
  expect((await web.json('/api/job')).body.jobs).toBeGreaterThanOrEqual(2)
})

test('one that is stopped is forgotten, with the token only, and it is logged by whom', async () => {
  const forget = `/api/jobs/${stopped}/forget`
  expect((await web.json(forget, post({}))).status).toBe(401)
  expect((await web.json(forget, { method: 'POST' })).status).toBe(401)
  expect((await web.json(forget, authorized)).body).toEqual({ job: stopped, forgotten: true })
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ forgotten: stopped, caller: '127.0.0.1' })
  const again = await web.json(forget, authorized)
  expect([again.status, again.body.error?.code]).toEqual([404, 'not_found'])
})

test('one that is at work, and what is no name, is refused', async () => {
  const own = await web.json(`/api/jobs/${web.seeded.job.name}/forget`, authorized)
  expect([own.status, own.body.error?.code]).toEqual([409, 'at_work'])
  const odd = await web.json('/api/jobs/%7Bx%7D/forget', authorized)
  expect([odd.status, odd.body.error?.code]).toEqual([400, 'bad_request'])
})
