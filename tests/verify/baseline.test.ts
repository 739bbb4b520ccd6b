/** What is noted when a job's code is changed, and what of it a recomputation leaves out. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { uniqueName } from '../../faults/names.ts'
import { readChange, since, skips } from '../../verify/baseline.ts'
import { readState } from '../../verify/pipeline.ts'
import { sinkJob, T } from '../actors/sinks/place.ts'
import { type Seeded, seed } from '../web/seed.ts'

let it: Seeded
beforeEach(async () => {
  it = await seed(sinkJob(uniqueName('changed')))
})
afterEach(() => it.end())

const judged = (code: string) => it.store.call('judged', it.keys.base, [code])
const record = (seconds: number) => ({ at: T + seconds * 1_000, group: ['a'], fields: { loc: 1 } })
const change = () => readChange(it.store, it.keys, it.job)

/*   seconds  0    10    20    30    40
 *   records  x    x     x|       x        | the code is changed
 *   windows  [────[─────[─────[─────[
 *            closed     open  new
 */
test('what stood at a change of the code is noted, and windows with records of before are left out', async () => {
  expect(await judged('one')).toBe(0)
  await it.records([record(1), record(11)])
  await it.closeTo(T + 10_000)
  await it.records([record(21)])
  expect(await judged('one')).toBe(0)
  expect(await change()).toBeNull()
  expect(await judged('two')).toBe(1)
  expect(await judged('two')).toBe(0)
  await it.records([record(25), record(31)])
  const baseline = (await change())!
  expect(baseline).toMatchObject({
    closedTo: T + 10_000,
    totals: { committed: 3, counted: 3 },
    applied: new Map([[0, [{ from: 0, to: 3 }]]]),
    panes: new Set([T + 10_000, T + 20_000]),
  })
  const left = [0, 10, 20, 30, 40].map((at) => skips(it.job, baseline, T + at * 1_000))
  expect(left).toEqual([true, true, true, false, false])
  const state = await readState(it.store, it.keys)
  expect([...state.codes]).toEqual(['two'])
  expect(since(state.totals, baseline.totals)).toMatchObject({ committed: 2, counted: 2 })
})

test('without a pane, and of what is half done, it is noted too', async () => {
  expect(await judged('one')).toBe(0)
  await it.store.redis.hset(it.keys.finished, '0:7', '9|5')
  expect(await judged('two')).toBe(1)
  const baseline = (await change())!
  expect(baseline.applied).toEqual(new Map([[0, [{ from: 7, to: 9 }]]]))
  expect(baseline.panes.size).toBe(0)
})

test('nothing is noted where there is no ledger yet', async () => {
  await it.store.redis.del(it.keys.ledger)
  expect(await judged('one')).toBe(-1)
  expect(await it.store.redis.exists(it.keys.ledger)).toBe(0)
})
