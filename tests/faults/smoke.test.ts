/**
 * The selection of faults that every check plays; `bun run faults` plays all of them.
 */
import { beforeAll, expect, test } from 'bun:test'
import { faults } from '../../faults/list.ts'
import { play, slow } from '../../faults/world.ts'
import { testServices } from '../support/services.ts'

beforeAll(testServices, 120_000)

for (const fault of faults.filter(({ smoke }) => smoke)) {
  const elsewhere = fault.linuxOnly === true && process.platform !== 'linux'
  test.skipIf(elsewhere)(
    `${fault.id}: ${fault.title}`,
    async () => {
      const outcome = await play(fault, { shared: testServices })
      expect(outcome.findings).toEqual([])
      // Others may use the machine at the same time: that is told, and not a failure.
      for (const { what, ms, withinMs } of slow(outcome)) {
        process.stdout.write(
          `${fault.id}: ${what}: ${ms} ms, meant to be ${withinMs} at the most\n`,
        )
      }
    },
    240_000,
  )
}
