/** A topic that matches and is there no more, and what the ledger says of it then. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { acceptChange } from '../../../actors/agree.ts'
import { enlist, leaveGone } from '../../../actors/bridge/listing.ts'
import type { Job } from '../../../actors/job.ts'
import { type Declared, knownTopics, listTopics, STRIDE } from '../../../actors/topics.ts'
import { createLog } from '../../../actors/log.ts'
import students from '../../../jobs/students.ts'
import { rejection } from '../../support/rejection.ts'
import { Shard } from '../../support/shard.ts'

const job: Declared = { name: 'rooms', topic: '/^[ab]/', topics: /^[ab]/ }
const a = { name: 'a', id: 'id-a', partitions: [0] }
let it: Shard
let lines: string[]

beforeEach(async () => {
  it = await Shard.open('listing')
  lines = []
  await it.call('list', 0, '', 'a|id-a|read', 1, '', 'b|id-b|read')
  await it.call('open', 'id-a', 'shape', 0, 0, 0, STRIDE, 0, 0)
  await it.append(STRIDE, 0, [{ from: 0, to: 3 }], { high: 5 })
})
afterEach(() => it.end())

const options = (acceptLoss: boolean) => ({
  job,
  keys: it.keys,
  store: it.store,
  acceptLoss,
  log: createLog('bridge', 'info', (line) => void lines.push(line), false),
})

async function leave(acceptLoss: boolean): Promise<void> {
  const ledger = await it.ledger()
  const known = knownTopics(ledger)
  await leaveGone(options(acceptLoss), ledger, listTopics(job, [a], known, 'id-a'))
}

test('records that were not read are named and refused, or counted as lost', async () => {
  expect((await rejection(leave(false))).message).toMatch(
    /^topic b was deleted, and with it records that were not read: 3 to 4 of partition 0 of topic b; start with --accept-loss/,
  )
  await leave(true)
  const ledger = await it.ledger()
  expect(ledger['topic:1']).toBe('b|id-b|left')
  expect(ledger[`${STRIDE}:next`]).toBe('5')
  expect((await it.measure()).totals.lost).toBe(2)
})

test('one that was read to its end is left, and said', async () => {
  await it.append(STRIDE, 3, [{ from: 3, to: 5 }])
  await leave(false)
  expect((await it.ledger())['topic:1']).toBe('b|id-b|left')
  expect(lines.join()).toMatch(/topic b was deleted; what was read of it counts/)
  await leave(false)
  expect(lines).toHaveLength(1)
})

test('two bridges do not give one index to two topics', async () => {
  const known = knownTopics(await it.ledger())
  const c = { name: 'c', id: 'id-c', left: false }
  await enlist(options(false), known, [...known, c])
  const other = enlist(options(false), known, [...known, { ...c, name: 'd' }])
  expect((await rejection(other)).message).toMatch(/others now; looking again/)
  expect((await it.ledger())['topic:2']).toBe('c|id-c|read')
})

test('the operator’s word leaves what is not named any more', async () => {
  const shorter: Job = { ...students, name: 'rooms', topic: 'a', topics: null }
  await it.redis.hdel(it.keys.ledger, 'shape')
  await acceptChange(it.store, it.keys, shorter)
  expect((await it.ledger())['topic:1']).toBe('b|id-b|left')
  expect((await it.ledger())['topic:0']).toBe('a|id-a|read')
})
