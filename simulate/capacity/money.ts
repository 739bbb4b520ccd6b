/**
 * What a load costs by the hour and by a billion records; and what the others would, by the processor
 * time a record that was measured of them on the same machine. Pure.
 */
import { type Assumptions, costs } from './costs.ts'
import type { Load } from './demand.ts'
import type { Needs } from './needs.ts'

export interface Bill {
  /** Money an hour. */
  processors: number
  memory: number
  network: number
  total: number
  perBillion: number
}

const SECONDS = 3_600
const BILLION = 1e9

export function billOf(load: Load, needs: Needs, assumed: Assumptions): Bill {
  const { cores, memoryGb, networkGbs } = needs
  return bill(load, assumed, { cores, memoryGb, networkGbs })
}

export const engines = ['millrace', 'flink', 'kafkaStreams', 'spark'] as const
export type Engine = (typeof engines)[number]

/**
 * The same for an engine whose processor time a record is all that is known: its memory is left out. `bytes`
 * of a record go from one machine to another, all their ways together.
 */
export function engineBill(engine: Engine, load: Load, assumed: Assumptions, bytes: number): Bill {
  const cores = (load.recordsPerSecond * costs.engines[engine]) / 1e6 / assumed.utilisation
  const networkGbs = (bytes * load.recordsPerSecond) / BILLION
  return bill(load, assumed, { cores, memoryGb: 0, networkGbs })
}

function bill(
  load: Load,
  assumed: Assumptions,
  used: { cores: number; memoryGb: number; networkGbs: number },
): Bill {
  const processors = used.cores * assumed.vcpuHour
  const memory = used.memoryGb * assumed.gbHour
  const network = used.networkGbs * SECONDS * assumed.crossZone * assumed.networkGb
  const total = processors + memory + network
  const billions = (load.recordsPerSecond * SECONDS) / BILLION
  return { processors, memory, network, total, perBillion: total / billions }
}
