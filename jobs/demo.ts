/**
 * The shipped job with a cost: each record waits 70 ms, as if it asked another service. An executor
 * does a million cheap records a second; the demonstration of scaling needs costly ones.
 */
import { defineJob } from 'millrace'
import { students } from './students.ts'

const costMs = 70

export default defineJob({
  ...students,
  name: 'students-demo',
  work: async (record) => {
    await Bun.sleep(costMs)
    return record
  },
})
