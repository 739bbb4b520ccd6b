/**
 * The shipped job under names of a run's own. MILLRACE_TEST_SPIN_US makes each record cost so many
 * microseconds of processor time, so that a backlog lasts long enough for something to go wrong.
 */
import { defineJob } from 'millrace'
import { students } from '../../jobs/students.ts'
import { named } from './named.ts'

const spinMs = Number(process.env.MILLRACE_TEST_SPIN_US ?? 0) / 1_000

export default defineJob({
  ...students,
  ...named,
  ...(spinMs > 0 ? { filter: () => spin() } : {}),
})

function spin(): boolean {
  const end = performance.now() + spinMs
  while (performance.now() < end);
  return true
}
