/** Kafka Streams: StreamsStudents.java, one instance of two threads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildJava, jvmCommand, pomOf } from './build.ts'
import { type Peer, pinnedVersion } from './peer.ts'

const THREADS = 2
const JVM = ['-Xmx512m', '-XX:+UseParallelGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
/** Longer than any topic's span: no record is lost. */
const GRACE_MS = 24 * 3_600_000
/** The watermark delay of the job, which is what one would take for it. */
const SHORT_GRACE_MS = 60_000

export const streams: Peer = streamsWith(GRACE_MS, 'a grace of a day')

/** Loses what one partition brings while another is read ahead; told beside, not timed. */
export const streamsOfShortGrace: Peer = streamsWith(SHORT_GRACE_MS, 'a grace of 1 minute')

function streamsWith(graceMs: number, grace: string): Peer {
  return {
    name: 'streams',
    label: 'Kafka Streams',
    version: pinnedVersion(readFileSync(pomOf('streams'), 'utf8'), 'kafka-streams'),
    settings: `exactly-once-v2, a commit a second, ${THREADS} threads, ${grace}, 512 MB heap`,
    firstResult: 'the first committed row in the output topic',
    async install(log) {
      const sources = [join(import.meta.dir, 'java'), join(import.meta.dir, 'streams')]
      const plan = { name: 'streams', label: 'Kafka Streams', mainJar: 'kafka-streams', sources }
      const built = await buildJava(plan, log)
      return {
        command: ({ brokers, topic, dir, rows }) => [
          ...jvmCommand(built, JVM, 'StreamsStudents'),
          brokers,
          topic,
          rows,
          join(dir, 'state'),
          String(THREADS),
          String(graceMs),
        ],
      }
    },
  }
}
