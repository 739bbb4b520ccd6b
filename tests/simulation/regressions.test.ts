/** What the simulation found in the pipeline, each as a small world of its own. */
import { expect, test } from 'bun:test'
import { joinedFindings } from '../../faults/simulation/parts.ts'
import { quietWorld } from './quiet.ts'

test('what Redis lost while nothing came is read again without waiting for the next record', () => {
  const { world, pass, isDrained } = quietWorld([500, 1_500])
  pass(1_000)
  world.save()
  pass(2_000)
  expect(isDrained()).toBe(true)
  // A replica that was behind takes over, and no command of the bridge was under way.
  world.comeBackOlder()
  expect(isDrained()).toBe(false)
  pass(3_000)
  expect(isDrained()).toBe(true)
  expect(world.witness.findings).toEqual([])
})

for (const kind of ['bridge', 'executor'] as const) {
  test(`an outage at the very start of the ${kind} does not end it`, () => {
    const { world, pass, isDrained } = quietWorld([500])
    world.nemesis.setTrap({ step: 'beat', kind, left: 0, interference: 'cut before' })
    pass(3_000)
    expect(world.trace.counts.get('fault: cut before')).toBe(1)
    expect(world.witness.findings).toEqual([])
    expect(isDrained()).toBe(true)
  })
}

test('what a shard closes again after it came back older, its clock behind, is joined', () => {
  const seconds = [500, 1_500, 2_500, 3_500, 4_500, 5_500, 6_500, 7_500]
  const { world, pass, isDrained } = quietWorld(seconds, 2)
  const [, other] = world.servers
  pass(3_000)
  world.save(other)
  pass(1_800)
  const { joinedTo } = world.witness.state
  // The successor's clock is behind by more than it took to take over.
  other!.skewMs = -5_000
  world.comeBackOlder(other)
  pass(6_000)
  expect(isDrained()).toBe(true)
  expect(world.witness.state.joinedTo).toBeGreaterThan(joinedTo)
  expect([...world.witness.findings, ...joinedFindings(world)]).toEqual([])
})

test('a leader that is stopped before it joins a window writes nothing that its successor has written', () => {
  let refused = 0
  for (let left = 0; left < 12; left += 3) {
    const seconds = [500, 1_500, 2_500, 3_500, 4_500, 5_500, 6_500, 7_500]
    const { world, pass } = quietWorld(seconds, 2, 2)
    pass(2_000)
    world.nemesis.setTrap({ step: 'parts', kind: 'supervisor', left, interference: 'stop' })
    pass(14_000)
    expect([...world.witness.findings, ...joinedFindings(world)]).toEqual([])
    refused += world.trace.counts.get('join refused') ?? 0
  }
  expect(refused).toBeGreaterThan(0)
})
