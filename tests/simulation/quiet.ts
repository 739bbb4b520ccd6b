/** A simulated world in which nothing goes wrong but what a test does to it. */
import { Chance } from '../../faults/simulation/chance.ts'
import { createJobs } from '../../faults/simulation/jobs.ts'
import { Writer } from '../../faults/simulation/records.ts'
import { Time } from '../../faults/simulation/time.ts'
import { Trace } from '../../faults/simulation/trace.ts'
import { Witness } from '../../faults/simulation/witness.ts'
import { World } from '../../faults/simulation/world.ts'

/** One partition, with a batch of three records at each of these times. */
export function quietWorld(appendedAtMs: number[]) {
  const chance = new Chance(1)
  const time = new Time()
  const trace = new Trace(time)
  const job = createJobs({ clock: null })[0]!
  const plan = { delayMs: 0, hasWork: false, odd: 0, disorder: 0, late: 0, groups: 2 }
  const writer = new Writer(0, plan, chance.branch())
  for (const ms of appendedAtMs) writer.write(ms * 1_000, 3)
  const all = writer.batches.flatMap(({ records }) => records)
  const records = new Map([[0, new Map(all.map((record) => [record.offset, record]))]])
  const ends = new Map([[0, writer.batches.at(-1)!.to]])
  const witness = new Witness({ job, trace, records, ends, idleAfterMs: 30_000 })
  const partitions = [{ partition: 0, batches: writer.batches, bornUs: 0 }]
  const executors = { min: 1, max: 2 }
  const settings = { job, chance, time, trace, witness, partitions, executors }
  const world = new World({ ...settings, supervisors: 1, latencyMs: 0.3 })
  world.start()
  return {
    world,
    /** Runs for so long. */
    pass(ms: number) {
      let passed = false
      time.after(ms, null, () => {
        passed = true
      })
      while (!passed) time.step()
    },
    /** Whether all that is in the topic by now is counted. */
    isDrained: () => witness.hasAll([{ partition: 0, end: world.topic.high(0) }]),
  }
}
