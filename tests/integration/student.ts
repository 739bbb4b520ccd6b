/** One record of the shipped job. */
export { type Fields, student } from '../../faults/student.ts'
