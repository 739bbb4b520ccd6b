/**
 * `bun run new NAME`: writes a job, and its test, to begin with; from records of its topic where they
 * are asked for.
 *
 *   file or topic → sample → shape → plan → jobs/NAME.ts, tests/jobs/NAME.test.ts
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { readConfig } from '../actors/config.ts'
import { exitCodes, RefusalError, runMain, UsageError } from '../actors/errors.ts'
import { escaped } from '../actors/escape.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { JobError } from '../actors/job.ts'
import { nameOf, topicOf } from '../actors/names.ts'
import { RawKafka } from '../actors/kafka.ts'
import { kafkaAddress, kafkaClient, isKafkaOutage, kafkaMessage } from '../actors/kafka-client.ts'
import { watchedProgress } from '../cli/progress.ts'
import { jobSource, type NewJob } from './job.ts'
import { type Plan, planOf, valuesOf } from './plan.ts'
import { withoutOdd } from './odd.ts'
import { type Sample, sampleOfFile, sampleOfTopic } from './sample.ts'
import { shapeOf } from './shape.ts'
import { testSource } from './test.ts'
import { timeForms } from './times.ts'

const command = {
  help: `
Usage: bun run new NAME [options]

Writes jobs/NAME.ts, a job to begin with, and tests/jobs/NAME.test.ts, its test. With records to look
at, the schema, the time, the groups and the numbers are made from them; read what it made of them.
Nothing is ever overwritten.

  --topic T          the Kafka topic (NAME)
  --sample N         looks at the first N records of the topic; with --from-file of the file
  --from-file FILE   looks at a file with one record a line (its first 1000)
  --time FIELD       the field that is the event time, such as at or meta.at, where the guess is wrong
  --json             what was written and found as JSON: { files, time, groups, numbers, leftOut, next }
  --help             this text

Exit code: 0; 1 where there is nothing to look at; 2 for a mistake in the command.

Environment, with --sample: KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_*`,
  options: {
    topic: { type: 'string' },
    sample: { type: 'string' },
    'from-file': { type: 'string' },
    time: { type: 'string' },
    json: { type: 'boolean' },
  },
  positionals: ['NAME'],
} as const

const kafkaTime = "Kafka's, as no field looks like one (name one with --time)"
const FILE_RECORDS = 1_000
const RECORDS_MOST = 100_000

/** Stands for records where there are none to look at. */
const madeUp: Sample = {
  records: [
    { at: 1_767_225_600_000, place: 'here', value: 20.5 },
    { at: 1_767_225_601_000, place: 'there', value: 21.25 },
    { at: 1_767_225_602_000, place: 'here', value: 19 },
    { at: 1_767_225_603_000, place: 'there', value: 22 },
  ],
  others: 0,
}

interface Asked {
  name: string
  topic: string
  count: number | undefined
  file: string | undefined
  time: string | undefined
  json: boolean
}

await runMain('new', async () => {
  const asked = readAsked()
  const files = { job: `jobs/${asked.name}.ts`, test: `tests/jobs/${asked.name}.test.ts` }
  const existing = Object.values(files).find((file) => existsSync(file))
  if (existing) throw new UsageError(`${existing} exists already, and is not overwritten`)
  const { sample, from } = await look(asked)
  const { usual, odd } = withoutOdd(sample.records)
  const made: NewJob = {
    name: asked.name,
    topic: asked.topic,
    from,
    plan: planOf(shapeOf(usual), asked.time),
  }
  write(files.job, jobSource(made))
  write(files.test, testSource(made, usual[0]!))
  const seen = { ...sample, odd }
  const told = asked.json
    ? `${JSON.stringify(reportJson(made.plan, files, seen), null, 2)}\n`
    : escapedLines(reportOf(made.plan, files, seen))
  process.stdout.write(told)
  return exitCodes.done.code
})

function readAsked(): Asked {
  const { values, positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const [name] = positionals
  if (name === undefined) throw new UsageError('say how the job is called; see --help')
  const range = { from: 1, to: RECORDS_MOST }
  const asked = {
    name: named(() => nameOf(name)),
    topic: named(() => topicOf(values.topic ?? name)),
    count: wholeNumberFlag('sample', values.sample, range),
    file: values['from-file'],
    time: values.time,
    json: values.json ?? false,
  }
  if (asked.time !== undefined && asked.count === undefined && asked.file === undefined) {
    throw new UsageError('--time is for --sample and --from-file')
  }
  return asked
}

/** As defineJob says it. */
function named(check: () => string): string {
  try {
    return check()
  } catch (error) {
    throw error instanceof JobError ? new UsageError(error.message) : error
  }
}

async function look({
  name,
  topic,
  count,
  file,
}: Asked): Promise<{ sample: Sample; from: string }> {
  if (file !== undefined) {
    const sample = sampleOfFile(file, count ?? FILE_RECORDS)
    return { sample, from: `${name}: made from ${sample.records.length} records of a file.` }
  }
  if (count === undefined) {
    return { sample: madeUp, from: `${name}: an example. Its fields are made up; put yours there.` }
  }
  const sample = await sampleFromKafka(topic, count)
  return { sample, from: `${name}: made from ${sample.records.length} records of ${topic}.` }
}

async function sampleFromKafka(topic: string, count: number): Promise<Sample> {
  const config = readConfig()
  const raw = new RawKafka(kafkaClient(config, 'millrace-new'), topic)
  const progress = watchedProgress()
  progress.step(`reading up to ${count} records of ${topic} …`)
  try {
    return await sampleOfTopic(raw, topic, count)
  } catch (error) {
    if (error instanceof RefusalError) throw error
    const message = isKafkaOutage(error)
      ? `Kafka at ${kafkaAddress(config)} does not answer; is it running? bun run services up`
      : `topic ${topic}: ${kafkaMessage(error)}`
    throw new RefusalError(message, { cause: error })
  } finally {
    progress.end()
    await raw.close().catch(() => {})
  }
}

/** @throws UsageError where it came into being meanwhile */
function write(file: string, source: string): void {
  mkdirSync(dirname(file), { recursive: true })
  try {
    writeFileSync(file, source, { flag: 'wx' })
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
    throw new UsageError(`${file} exists already, and is not overwritten`, { cause: error })
  }
}

type Files = { job: string; test: string }
type Seen = Sample & { odd: readonly string[] }

function nextText({ job, test }: Files): string {
  return `bun test ${test}, then bun run supervisor ${job}`
}

function reportJson({ time, groups, aggregates }: Plan, files: Files, { others, odd }: Seen) {
  return {
    files,
    time: time ? { field: time.path.join('.'), form: time.form } : null,
    groups: groups.map((place) => ({ field: place.path.join('.'), values: valuesOf(place) })),
    numbers: aggregates.map(({ name }) => name),
    leftOut: { noObjects: others, odd },
    next: nextText(files),
  }
}

function reportOf(plan: Plan, files: Files, { records, others, odd }: Seen): string[] {
  const { time, groups, aggregates } = plan
  const groupTexts = groups.map((place) => `${place.path.join('.')} (${valuesOf(place)} values)`)
  return [
    `wrote ${files.job} and ${files.test}`,
    ...(records === madeUp.records ? ['  its fields are made up: put yours there'] : []),
    ...(others === 0 ? [] : [`  left out  ${others} that are no JSON objects`]),
    ...odd.map((why) => `  left out  ${why}: such would be rejected`),
    `  time      ${time ? `${time.path.join('.')}, ${timeForms[time.form]}` : kafkaTime}`,
    `  groups    ${groupTexts.join(', ') || 'none found: all records of a window are one row'}`,
    `  numbers   ${aggregates.map(({ name }) => name).join(', ') || 'none found: records are counted'}`,
    `next: ${nextText(files)}`,
  ]
}

function escapedLines(lines: readonly string[]): string {
  return lines.map((line) => `${escaped(line)}\n`).join('')
}
