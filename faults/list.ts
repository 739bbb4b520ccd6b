/** Every fault of the ladder, in the order of their names. */
import type { Fault } from './fault.ts'
import { dataFaults } from './scenarios/data.ts'
import { kafkaFaults } from './scenarios/kafka.ts'
import { machineFaults } from './scenarios/machine.ts'
import { networkFaults } from './scenarios/network.ts'
import { processFaults } from './scenarios/processes.ts'
import { redisFaults } from './scenarios/redis.ts'
import { settingFaults } from './scenarios/settings.ts'
import { supervisorFaults } from './scenarios/supervisors.ts'

export const faults: Fault[] = [
  ...processFaults,
  ...supervisorFaults,
  ...machineFaults,
  ...redisFaults,
  ...settingFaults,
  ...networkFaults,
  ...kafkaFaults,
  ...dataFaults,
].sort((a, b) => (a.id < b.id ? -1 : 1))
