/**
 * A local Kafka: one node that is broker and controller (KRaft), on a directory and two ports.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { RefusalError } from '../actors/errors.ts'
import { kafkaAnswers } from './answers.ts'
import { runSteps } from './run.ts'
import { createServer, type Server } from './server.ts'

export interface KafkaPlan {
  java: string
  /** The directory of the jars. */
  jars: string
  dir: string
  port: number
  controllerPort: number
  detached: boolean
  /** A second listener, whose clients are told another port: that of a proxy before it. */
  proxied?: ProxiedListener
  /** Beyond or instead of the settings below, by their names in server.properties. */
  settings?: Record<string, string>
}

export interface ProxiedListener {
  port: number
  proxyPort: number
}

/** The largest record that the pipeline has to take is 10 MB; a batch's frame comes on top. */
const RECORD_BYTES_MAX = 16 * 1024 * 1024

/**
 * The serial collector was the quickest to start and to move records on 2 cores, before G1, Shenandoah, Z and the
 * parallel one; those that collect beside the work take half as much again of a processor at a trickle. Of 32 MB
 * at a time it stops the broker for 12 ms, of all that the heap would give it for 25 to 50, which every result
 * that is under way waits for. Only half the compiler (-XX:TieredStopAtLevel=1) would start 0.3 s sooner and
 * then append at two thirds of the pace, so that is for the short-lived tool alone.
 */
const BROKER_JVM = ['-Xmx512m', '-Xmn32m', '-XX:+UseSerialGC']
const TOOL_JVM = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

const logging = `-Dlog4j2.configurationFile=${resolve(import.meta.dir, 'kafka', 'log4j2.properties')}`

export async function createKafka(plan: KafkaPlan): Promise<Server> {
  const properties = join(plan.dir, 'server.properties')
  const data = join(plan.dir, 'data')
  mkdirSync(data, { recursive: true })
  writeFileSync(properties, propertiesText({ ...settingsOf(plan, data), ...plan.settings }))
  if (!existsSync(join(data, 'meta.properties'))) await formatData(plan, properties)
  const jvm = [...BROKER_JVM, logging]
  return createServer({
    name: 'Kafka',
    command: [plan.java, ...jvm, '-cp', classPath(plan.jars), 'kafka.Kafka', properties],
    ports: [plan.port, plan.controllerPort],
    logFile: join(plan.dir, 'kafka.log'),
    answers: () => kafkaAnswers({ KAFKA_BROKERS: [`127.0.0.1:${plan.port}`] }),
    detached: plan.detached,
  })
}

function settingsOf(plan: KafkaPlan, data: string): Record<string, string> {
  const broker = `PLAINTEXT://127.0.0.1:${plan.port}`
  const controller = `127.0.0.1:${plan.controllerPort}`
  const { proxied } = plan
  const more = (port: number | undefined) => (port ? `,PROXIED://127.0.0.1:${port}` : '')
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.bootstrap.servers': controller,
    'controller.listener.names': 'CONTROLLER',
    listeners: `${broker},CONTROLLER://${controller}${more(proxied?.port)}`,
    'advertised.listeners': `${broker}${more(proxied?.proxyPort)}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': 'false',
    'message.max.bytes': String(RECORD_BYTES_MAX),
    'replica.fetch.max.bytes': String(RECORD_BYTES_MAX),
    // Replayed records carry old times; by age they would be deleted soon after they came.
    'log.retention.ms': '-1',
    'log.retention.bytes': String(4 * 1024 * 1024 * 1024),
    ...ofOneNode,
  }
}

/** What has defaults for a cluster of many nodes, and what a small heap has to spare. */
const ofOneNode = {
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  // After a kill -9 the node is let in again only when its last registration has run out.
  'broker.session.timeout.ms': '5000',
  'broker.heartbeat.interval.ms': '1000',
  'log.cleaner.dedupe.buffer.size': String(16 * 1024 * 1024),
  'num.network.threads': '2',
  'num.io.threads': '4',
}

function propertiesText(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('')
}

/** Spelled out and sorted: the launcher expands a `*` in the directory's order, which varies. */
function classPath(jars: string): string {
  const names = readdirSync(jars).filter((name) => name.endsWith('.jar'))
  return names
    .sort()
    .map((name) => join(jars, name))
    .join(':')
}

async function formatData(plan: KafkaPlan, properties: string): Promise<void> {
  const jvm = [...TOOL_JVM, logging]
  const format = ['format', '--standalone', '-t', clusterId(), '-c', properties]
  const tool = ['-cp', classPath(plan.jars), 'kafka.tools.StorageTool', ...format]
  const result = await runSteps([plan.java, ...jvm, ...tool])
  if (result.code !== 0) throw new RefusalError(`Kafka's storage: ${result.lastLine}`)
}

/** 16 random bytes in URL-safe base64 without padding, which is how Kafka writes a UUID. */
function clusterId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  // A leading dash would read as an option.
  bytes[0] = 0
  return Buffer.from(bytes).toString('base64url')
}
