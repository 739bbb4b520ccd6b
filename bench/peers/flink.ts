/** Apache Flink: FlinkStudents.java in a mini cluster of one JVM. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildJava, jvmCommand, pomOf } from './build.ts'
import { type Peer, pinnedVersion } from './peer.ts'

const PARALLELISM = 2
const JVM = [
  '-Xmx512m',
  '-XX:+UseParallelGC',
  // What Flink's own start scripts open for its serializers and its cleaning of closures.
  '--add-opens=java.base/java.lang=ALL-UNNAMED',
  '--add-opens=java.base/java.util=ALL-UNNAMED',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  // Its file sink registers a metric once more with every file.
  '-Dorg.slf4j.simpleLogger.log.org.apache.flink.metrics.MetricGroup=error',
]

export const flink: Peer = {
  name: 'flink',
  label: 'Flink',
  version: pinnedVersion(readFileSync(pomOf('flink'), 'utf8'), 'flink-streaming-java'),
  settings: `mini cluster, parallelism ${PARALLELISM}, exactly once by a checkpoint a second, 512 MB heap`,
  firstResult: 'the first row of a window that the watermark closed',
  async install(log) {
    const sources = [join(import.meta.dir, 'java'), join(import.meta.dir, 'flink')]
    const plan = { name: 'flink', label: 'Flink', mainJar: 'flink-streaming-java', sources }
    const built = await buildJava(plan, log)
    return {
      command: ({ brokers, topic, dir, rows }) => [
        ...jvmCommand(built, JVM, 'FlinkStudents'),
        brokers,
        topic,
        rows,
        join(dir, 'checkpoints'),
        String(PARALLELISM),
      ],
    }
  },
}
