/** The shipped job with a `work` hook; a record with `poison` kills the process that works on it. */
import { defineJob } from 'millrace'
import { students } from '../../jobs/students.ts'
import { named } from './named.ts'

export default defineJob({
  ...students,
  ...named,
  work: (record) => {
    if ((record as { poison?: boolean }).poison === true) process.kill(process.pid, 'SIGKILL')
    return record
  },
})
