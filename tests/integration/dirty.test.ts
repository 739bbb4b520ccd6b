/**
 * Dirty data: whatever can be in a topic is either in a window or in the rejects with its reason;
 * nothing is lost, nothing crashes, and what is hostile is shown as the text that it is.
 */
import { expect, test } from 'bun:test'
import { systemClock } from '../../actors/clock.ts'
import { recordMaker } from '../../actors/producer/records.ts'
import { oddities, ODDITIES_CONFIG, oddRecords } from '../../faults/oddities.ts'
import studentsJob from '../../jobs/students.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

const RECORDS = 10_000
const SEED = 4

const cases = oddities()

test(`${RECORDS} records, 1 % malformed, and ${cases.length} oddities: each has its place`, async () => {
  const topic = { partitions: 2, config: ODDITIES_CONFIG }
  await withPipeline({ label: 'dirty', job: 'students.ts', topic }, async (pipeline) => {
    await pipeline.begin()
    await pipeline.topic.produce(oddRecords(cases, 0))
    const { malformed, values } = records()
    await pipeline.topic.produce(values)
    const { totals } = await pipeline.drained()

    const wrong = cases.filter(({ becomes }) => typeof becomes === 'string').length
    expect(totals).toMatchObject({
      committed: RECORDS + cases.length,
      counted: RECORDS - malformed + cases.length - wrong,
      rejected: malformed + wrong,
      late: 0,
      filtered: 0,
      waiting: 0,
    })
    await expectPlaces(pipeline)
    expect((await pipeline.statusNow()).totals.unaccounted).toBe(0)
    expect(await pipeline.verify()).toMatchObject({ ok: true, unaccounted: 0 })
    expect((await pipeline.snapshot()).actors.filter(({ state }) => state === 'dead')).toEqual([])
  })
}, 60_000)

async function expectPlaces(pipeline: Pipeline): Promise<void> {
  const rejects = await pipeline.rejects()
  const reasons = new Map(rejects.map((one) => [`${one.partition}:${one.offset}`, one]))
  const courses = new Set((await pipeline.windows()).map(({ key }) => key.course))
  const seen = cases.map(({ what, becomes }, offset) => {
    const reject = reasons.get(`0:${offset}`)
    if (typeof becomes === 'string') return { what, becomes: reject?.reason ?? 'counted' }
    return { what, becomes: courses.has(becomes.course) && !reject ? becomes : reject?.reason }
  })
  expect(seen).toEqual(cases.map(({ what, becomes }) => ({ what, becomes })))
  for (const { value } of rejects) expect(value.length).toBeLessThanOrEqual(1_024)

  const response = await pipeline.fetch(
    '/api/windows?limit=1000&course=%3Cscript%3Ealert(1)%3C%2Fscript%3E',
  )
  expect(response.headers.get('content-type')).toStartWith('application/json')
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  expect(((await response.json()) as { windows: unknown[] }).windows.length).toBe(2)
}

function records() {
  const options = { seed: SEED, malformed: 0.01, late: 0, outOfOrder: 0.1 }
  const { watermarkDelayMs, windowSizeMs } = studentsJob
  const make = recordMaker({ ...options, watermarkDelayMs, windowSizeMs })
  const values = Array.from({ length: RECORDS }, () => make(systemClock.now()))
  const malformed = values.filter(({ value }) => !isStudent(value)).length
  return { values: values.map(({ value }) => ({ value })), malformed }
}

function isStudent(value: string | Buffer | null): boolean {
  if (typeof value !== 'string') return false
  try {
    const record = JSON.parse(value) as { course?: string; lines_of_code?: unknown }
    return record.course !== undefined && typeof record.lines_of_code === 'number'
  } catch {
    return false
  }
}
