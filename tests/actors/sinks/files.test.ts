import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { filePath, files } from '../../../actors/sinks/files.ts'
import { until } from '../../../faults/until.ts'
import { openClosed, type Place, T } from './place.ts'
import { filesIn, parquetIn } from './found.ts'

let it: Place
let directory: string
beforeEach(async () => {
  it = await openClosed('files')
  directory = mkdtempSync(join(tmpdir(), 'millrace-files-'))
})
afterEach(async () => {
  await it.end()
  rmSync(directory, { recursive: true, force: true })
})

test('a window is a file that its name tells, with its rows, and nothing beside it', async () => {
  await it.close(3)
  it.deliver(files({ directory }))
  await until('three', () => filesIn(directory).size === 3)
  expect(filesIn(directory)).toEqual(await it.expected())
  expect(readdirSync(join(directory, '2023-11-14')).sort()[0]).toBe('22-13-20.000Z_10000ms.ndjson')
})

test('what a killed process left half written goes, and what is there is written again as the same', async () => {
  const { folder, name } = filePath({ start: T, end: T + 10_000 })
  mkdirSync(join(directory, folder))
  writeFileSync(join(directory, folder, `.${name}.1-abc.tmp`), '{"half')
  writeFileSync(join(directory, folder, name), 'of an earlier Redis')
  const parquet = filePath({ start: T, end: T + 10_000 }, 'parquet').name
  writeFileSync(join(directory, folder, `.${parquet}.1-abc.tmp`), 'PAR1')
  writeFileSync(join(directory, folder, '.kept.tmp'), 'not ours')
  await it.close(1)
  it.deliver(files({ directory }))
  await until('it', () =>
    readFileSync(join(directory, folder, name), 'utf8').startsWith('{"start"'),
  )
  expect(filesIn(directory)).toEqual(await it.expected())
  expect(readdirSync(join(directory, folder)).sort()).toEqual(['.kept.tmp', name])
})

test('a directory that can’t be written is told by its name', async () => {
  writeFileSync(join(directory, 'taken'), '')
  const { delivery } = it.deliver(files({ directory: join(directory, 'taken') }))
  await until('a complaint', () => delivery.complaint)
  expect(delivery.complaint).toContain(`sink files: at ${join(directory, 'taken')} is down`)
})

test('a directory must be named, and a format be one that there is', () => {
  expect(() => files({ directory: '' })).toThrow('sink files: directory must be a path')
  expect(() => files({ directory, format: 'csv' as 'parquet' })).toThrow(
    'sink files: format must be ndjson or parquet, not "csv"',
  )
})

test('windows are files of Parquet, which a reader finds them in', async () => {
  await it.close(3)
  it.deliver(files({ directory, format: 'parquet' }))
  await until('three', async () => (await parquetIn(directory)).size === 3)
  expect(await parquetIn(directory)).toEqual(await it.expected())
  const names = readdirSync(join(directory, '2023-11-14')).sort()
  expect(names[0]).toBe('22-13-20.000Z_10000ms.parquet')
  expect(names).toHaveLength(3)
})
