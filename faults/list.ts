/** Every fault of the ladder, in the order of their names. */
import type { Fault } from './fault.ts'
import { networkFaults } from './scenarios/network.ts'
import { processFaults } from './scenarios/processes.ts'
import { redisFaults } from './scenarios/redis.ts'

export const faults: Fault[] = [...processFaults, ...redisFaults, ...networkFaults].sort((a, b) =>
  a.id < b.id ? -1 : 1,
)
