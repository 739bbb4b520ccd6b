/**
 * The ladder itself is tested: seven pipelines that are broken on purpose, each of which the
 * simulation must find out. A checker that lets one pass checks nothing.
 */
import { expect, test } from 'bun:test'
import { bugs } from '../../faults/sabotage/bugs.ts'
import { sabotage } from '../../faults/sabotage/run.ts'

test('there are seven', () => {
  expect(bugs.length).toBe(7)
})

for (const bug of bugs) {
  test(`${bug.name} is caught`, async () => {
    const { caught } = await sabotage(bug)
    expect(caught).not.toBeNull()
  }, 180_000)
}
