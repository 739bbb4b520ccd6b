/** Every fault of the ladder, in the order of their names. */
import type { Fault } from './fault.ts'
import { processFaults } from './scenarios/processes.ts'

export const faults: Fault[] = [...processFaults].sort((a, b) => (a.id < b.id ? -1 : 1))
