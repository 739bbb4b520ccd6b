/**
 * How old a result is: from a record's production to the moment when its effect can be read in the
 * live window, at several rates and numbers of executors, by probes among the load (see
 * latency/probes.ts for how exact) and beside it as the API's `latencyMs` has it.
 *
 *   own Kafka and Redis → for each number of executors a pipeline, warmed up → for each rate: load and
 *   probes → table
 *
 * Kafka, Redis, the pipeline, the load and this program share the machine; CPU is told for each.
 *
 *   bun bench/latency.ts --json latency.json
 */
import { systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { messageOf, runMain } from '../actors/errors.ts'
import { kafkaClient } from '../actors/kafka-client.ts'
import { SHIPPED_JOB } from '../actors/load.ts'
import { print } from '../actors/output.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import studentsJob from '../jobs/students.ts'
import { type Options, readOptions } from './latency/options.ts'
import { playRate, warmUp } from './latency/play.ts'
import type { Played } from './latency/played.ts'
import { Probes } from './latency/probes.ts'
import { reportText } from './latency/report.ts'
import { machineFacts, machineText } from './machine.ts'
import { type Own, withOwn } from './own.ts'
import { startPipeline, untilRunning } from './pipeline.ts'
import { versionsOf } from './versions.ts'

await runMain('latency', async () => {
  const options = readOptions()
  const machine = machineFacts()
  return withOwn(async (own) => {
    const versions = await versionsOf(own.services)
    const config = readConfig({ ...own.services.environment })
    const kafka = kafkaClient(config, 'millrace-latency')
    await ensureTopic(kafka, studentsJob.topic, options.partitions)
    const results: Played[] = []
    for (const executors of options.executors) {
      results.push(...(await playExecutors(own, executors, options)))
    }
    print(`\n${machineText(machine, versions)}\n${reportText(results)}`)
    const at = new Date(systemClock.now()).toISOString()
    const result = { at, machine, versions, options, results }
    if (options.json) await Bun.write(options.json, `${JSON.stringify(result, null, 2)}\n`)
    return 0
  })
})

async function playExecutors(own: Own, executors: number, options: Options): Promise<Played[]> {
  const { partitions } = options
  const job = { file: SHIPPED_JOB, name: studentsJob.name }
  const pipeline = await startPipeline(own, { job, executors, from: 'latest' })
  await untilRunning(pipeline, executors)
  const config = readConfig({ ...own.services.environment })
  const probes = await Probes.open({ config, job: studentsJob, pipeline, partitions })
  const results: Played[] = []
  try {
    const course = { own, pipeline, probes, executors, options }
    await warmUp(course)
    for (const rate of options.rates) {
      const played = await playRate(course, rate)
      results.push(played)
      const { p50, p99, p999 } = played.delayMs
      print(`${executors} executors, ${rate}/s: p50 ${ms(p50)}, p99 ${ms(p99)}, p99.9 ${ms(p999)}`)
    }
    return results
  } catch (error) {
    if (own.stopping.aborted) throw error
    // What has been found is told; the rates behind this one would have its backlog.
    print(`${executors} executors: ${messageOf(error)}`)
    return results
  } finally {
    await probes.close()
    await pipeline.end()
  }
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`
}
