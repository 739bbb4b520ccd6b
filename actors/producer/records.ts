/**
 * Records of the shipped job (jobs/students.ts): students' coding activity, made with faker and
 * reproducible by a seed. A share of them can be malformed, late or out of order, so that every path
 * of the pipeline can be exercised by hand. Pure; the caller passes the time.
 */
import { Faker, en, generateMersenne53Randomizer } from '@faker-js/faker'

export interface ProducedRecord {
  /** The student's id, so that one student's records stay in one partition. */
  key: string
  /** JSON, or for a malformed record whatever else can arrive: text, bytes, a tombstone. */
  value: string | Buffer | null
}

export interface RecordOptions {
  /** 32 bits; the same seed and the same times give the same records. */
  seed: number
  /** Shares, 0 to 1. Late: behind watermark delay and window; out of order: within the delay. */
  malformed: number
  late: number
  outOfOrder: number
  /** The job's watermark delay and window size. */
  watermarkDelayMs: number
  windowSizeMs: number
}

export const courses = [
  'Operating Systems',
  'Data Structures',
  'Web Engineering',
  'Artificial Intelligence',
  'Linear Algebra',
] as const

export const activities = [
  'coding',
  'debugging',
  'reading_docs',
  'committing_code',
  'running_tests',
] as const

const tools = ['VS Code', 'Neovim', 'IntelliJ IDEA', 'Jupyter', 'Docker', 'Git'] as const

const errors = [
  'SyntaxError: unexpected end of input',
  'TypeError: undefined is not a function',
  'IndexError: list index out of range',
  'KeyError: student_id',
  'Segmentation fault (core dumped)',
  'AssertionError: expected 3, got 4',
  'NullPointerException',
  'ECONNREFUSED 127.0.0.1:5432',
] as const

/** The same students for every seed: what a seed changes is what they do. */
const STUDENTS_SEED = 20
const NAMES = 20

/** Makes the record that is sent at `now` (epoch ms), one after the other. */
export type MakeRecord = (now: number) => ProducedRecord

export function recordMaker(options: RecordOptions): MakeRecord {
  const randomizer = generateMersenne53Randomizer(options.seed)
  const random = () => randomizer.next()
  const body = bodyMaker(random)
  return (now) => {
    const time = eventTime(options, now, random)
    const spoiled = random() < options.malformed
    const { key, rest } = body()
    const value = `{"timestamp":${time / 1000},${rest}`
    return { key, value: spoiled ? spoil(value, random) : value }
  }
}

/** The part of a record behind its timestamp, with the student's id as the key. */
export function bodyMaker(random: () => number): () => { key: string; rest: string } {
  const names = studentNames().map((name) => JSON.stringify(name))
  return () => {
    const number = Math.floor(random() * 5_000)
    const key = `CS-${2021 + Math.floor(number / 1_000)}${String(number % 1_000).padStart(3, '0')}`
    const course = pick(courses, random)
    const activity = pick(activities, random)
    const tool = pick(tools, random)
    const lines = activity === 'coding' ? 5 + Math.floor(random() * 146) : 0
    const cpu = Math.round((10.5 + random() * 84.5) * 100) / 100
    const rest =
      `"student_id":"${key}","student_name":${names[number % NAMES]},"course":"${course}",` +
      `"activity":"${activity}","tool_used":"${tool}","lines_of_code":${lines},` +
      `"last_error":${lastError(activity, random)},"cpu_usage_pct":${cpu}}`
    return { key, rest }
  }
}

function studentNames(): string[] {
  const faker = new Faker({ locale: en, seed: STUDENTS_SEED })
  return faker.helpers.uniqueArray(
    () => `${faker.person.firstName()} ${faker.person.lastName()}`,
    NAMES,
  )
}

function eventTime(options: RecordOptions, now: number, random: () => number): number {
  const kind = random()
  if (kind < options.late) {
    // A second more than the oldest window that can be open, up to a minute more.
    const behind = options.watermarkDelayMs + options.windowSizeMs + 1_000
    return now - Math.floor(behind + random() * 60_000)
  }
  if (kind < options.late + options.outOfOrder) {
    // Half the delay at most: the record must still be in time when Kafka has it.
    return now - Math.floor(random() * (options.watermarkDelayMs / 2))
  }
  return now
}

function lastError(activity: string, random: () => number): string {
  if (activity !== 'debugging' && activity !== 'running_tests') return 'null'
  return random() < 0.5 ? 'null' : JSON.stringify(pick(errors, random))
}

const spoilings: readonly ((value: string) => ProducedRecord['value'])[] = [
  (value) => value.slice(0, value.length >> 1),
  (value) => value.replace(/"lines_of_code":\d+/, '"lines_of_code":"many"'),
  (value) => value.replace(/"course":"[^"]*",/, ''),
  (value) => Buffer.concat([Buffer.from(value.slice(0, -1)), Buffer.from([0xff, 0xfe])]),
  () => 'not JSON',
  () => '',
  () => null,
]

const spoil = (value: string, random: () => number) => pick(spoilings, random)(value)

function pick<T>(choices: readonly T[], random: () => number): T {
  return choices[Math.floor(random() * choices.length)]!
}
