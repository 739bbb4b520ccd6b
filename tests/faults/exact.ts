/**
 * What must be true in the end, as an assertion.
 */
import { expect } from 'bun:test'
import type { Pipeline } from '../../faults/pipeline.ts'
import type { Report } from '../../verify/verify.ts'

/** The recomputation finds nothing lost, nothing twice, nothing wrong; everything is done. */
export async function expectExact(pipeline: Pipeline, records?: number): Promise<Report> {
  await pipeline.drained()
  const report = await pipeline.verify()
  const { lost, duplicated, wrong, unaccounted, differences } = report
  expect({ lost, duplicated, wrong, unaccounted, named: differences.named }).toEqual({
    lost: 0,
    duplicated: 0,
    wrong: 0,
    unaccounted: 0,
    named: [],
  })
  if (records !== undefined) expect(report.records).toBe(records)
  expect(await pipeline.store.redis.xlen(pipeline.keys.entries)).toBe(0)
  return report
}
