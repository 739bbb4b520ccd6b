import { expect, test } from 'bun:test'
import { compareRows, type Row } from '../../bench/compare.ts'
import { type EngineResult, reportText, type Result } from '../../bench/report.ts'

const engine = (values: Partial<EngineResult> = {}): EngineResult => ({
  name: 'millrace',
  label: 'Millrace',
  version: '',
  settings: 'as shipped',
  firstResult: 'the first committed record',
  rounds: [
    {
      seconds: 2,
      firstResultSeconds: 0.5,
      warmPerSecond: 1_000,
      cpuMicros: { executor: 3, kafka: 1 },
      peakBytes: 100 * 2 ** 20,
    },
  ],
  comparisons: [],
  ...values,
})

const slower = engine({
  name: 'slow',
  label: 'Slow',
  version: '1.2.3',
  rounds: [
    {
      seconds: 8,
      firstResultSeconds: 2,
      warmPerSecond: null,
      cpuMicros: { slow: 10 },
      peakBytes: 250 * 2 ** 20,
    },
  ],
})

const result = (values: Partial<Result> = {}): Result => ({
  at: '2026-01-01T00:00:00.000Z',
  machine: { cores: 2, model: 'some processor', memoryBytes: 8 * 2 ** 30, loadBefore: 0.25 },
  versions: { Kafka: '4.1.0' },
  options: { count: 1_000, partitions: 4, compression: 'none', max: 4, rounds: 1 },
  engines: [engine(), slower],
  limits: { kafka: null, redis: null },
  notes: [],
  ...values,
})

const lineOf = (text: string, start: string) =>
  text.split('\n').find((line) => line.startsWith(start))

const cells = (line: string | undefined) => line?.split(/ {2,}/)

const row: Row = { start: 0, course: 'a', activity: 'b', total_loc: 1, avg_cpu: 2, events: 3 }

test('every number of a peer stands with its ratio to Millrace', () => {
  const text = reportText(result())
  expect(cells(lineOf(text, 'Millrace '))).toEqual([
    'Millrace',
    '500',
    '1,000',
    '2.00',
    '0.50',
    '4.00',
    '100',
    'recomputed, equal',
  ])
  expect(cells(lineOf(text, 'Slow 1.2.3'))?.slice(0, 7)).toEqual([
    'Slow 1.2.3',
    '125 (0.25)',
    '-',
    '8.00 (4.00)',
    '2.00 (4.00)',
    '10.00 (2.50)',
    '250 (2.50)',
  ])
})

test('the columns of all lines end at the same places', () => {
  const lines = reportText(result()).split('\n')
  const at = lines.findIndex((line) => line.includes('records/s') && line.includes('windows'))
  const table = lines.slice(at, at + 3)
  expect(new Set(table.map((line) => line.length)).size).toBe(1)
})

test('machine, versions and settings are told', () => {
  const text = reportText(result())
  expect(text).toContain('2 cores, some processor, 8 GiB, load 0.3 before; Kafka 4.1.0')
  expect(text).toContain('CPU µs a record: executor 3.00, kafka 1.00')
})

test('a peer with other windows in any round is named', () => {
  const equal = compareRows([row], [row])
  const different = compareRows([row], [])
  const text = reportText(
    result({ engines: [engine(), { ...slower, comparisons: [equal, different] }] }),
  )
  expect(lineOf(text, 'Slow 1.2.3')).toEndWith('DIFFERENT')
  expect(text).toContain('of 1 rows 1 missing')
  const fine = reportText(result({ engines: [engine(), { ...slower, comparisons: [equal] }] }))
  expect(cells(lineOf(fine, 'Slow 1.2.3'))?.at(-1)).toBe('equal')
})

test('the limits are told with the share that Millrace reaches', () => {
  const limits = {
    kafka: { recordsPerSecond: 4_000, bytesPerRecord: 256 },
    redis: { pairsPerSecond: 100, payloadBytes: 128 * 1_024 },
  }
  const text = reportText(result({ limits }))
  expect(lineOf(text, "Kafka's limit")).toContain('takes 4,000 records/s')
  expect(lineOf(text, "Kafka's limit")).toEndWith('reaches 25 % of it')
  expect(lineOf(text, "Redis's limit")).toContain('the bytes of 51,200 records/s')
  expect(lineOf(text, "Redis's limit")).toEndWith('reaches 2 % of it')
})

test('compressed payloads are not set against uncompressed records', () => {
  const limits = {
    kafka: { recordsPerSecond: 4_000, bytesPerRecord: 256 },
    redis: { pairsPerSecond: 100, payloadBytes: 128 * 1_024 },
  }
  const options = { ...result().options, compression: 'zstd' }
  expect(reportText(result({ limits, options }))).not.toContain("Redis's limit")
})
