/** A simulated world in which nothing goes wrong but what a test does to it. */
import { Chance } from '../../faults/simulation/chance.ts'
import { createJobs } from '../../faults/simulation/jobs.ts'
import { Writer } from '../../faults/simulation/records.ts'
import { Time } from '../../faults/simulation/time.ts'
import { Trace } from '../../faults/simulation/trace.ts'
import { Witness } from '../../faults/simulation/witness.ts'
import { World } from '../../faults/simulation/world.ts'

/** A partition for each shard, with a batch of three records at each of these times; a server for each. */
export function quietWorld(appendedAtMs: number[], shards = 1, supervisors = 1) {
  const chance = new Chance(1)
  const time = new Time()
  const trace = new Trace(time)
  const job = createJobs({ clock: null })[0]!
  const plan = { delayMs: 0, hasWork: false, odd: 0, disorder: 0, late: 0, groups: 2 }
  const partitions = Array.from({ length: shards }, (_, partition) => {
    const writer = new Writer(partition, plan, chance.branch())
    for (const ms of appendedAtMs) writer.write(ms * 1_000, 3)
    return { partition, batches: writer.batches, bornUs: 0 }
  })
  const records = new Map(
    partitions.map(({ partition, batches }) => {
      const all = batches.flatMap((batch) => batch.records)
      return [partition, new Map(all.map((record) => [record.offset, record]))]
    }),
  )
  const ends = new Map(partitions.map(({ partition, batches }) => [partition, batches.at(-1)!.to]))
  const witness = new Witness({ job, trace, records, ends, idleAfterMs: 30_000 })
  const executors = { min: 1, max: 2 }
  const settings = { job, chance, time, trace, witness, partitions, executors }
  const world = new World({ ...settings, supervisors, latencyMs: 0.3, shards, nodes: shards })
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
    isDrained: () =>
      witness.hasAll(
        partitions.map(({ partition }) => ({ partition, end: world.topic.high(partition) })),
      ),
  }
}
