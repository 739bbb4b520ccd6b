/**
 * docs/capacity.md: its tables are what this program computes, between `<!-- capacity NAME -->` and
 * `<!-- end -->`; the sentences around them are people's.
 */
import { resolve } from 'node:path'
import { RefusalError } from '../../actors/errors.ts'
import { type Outcome, outcomesTable } from '../fleet/report.ts'
import { type Assumptions, assumed as usual, costs } from './costs.ts'
import type { Load } from './demand.ts'
import { today, usualLoad } from './options.ts'
import type { Plant } from './parts.ts'
import {
  boundsTable,
  callsTable,
  enginesTable,
  loadsTable,
  partsTable,
  reportOf,
  sensitivityTable,
} from './report.ts'

export const pageFile = resolve(import.meta.dir, '../../docs/capacity.md')
export const picturesDir = resolve(import.meta.dir, '../../docs/capacity')

/** A hundred million a second come from more brokers than three. */
const large: Plant = { ...today, brokers: 60 }
const million: Load = usualLoad
const hundred: Load = { ...usualLoad, recordsPerSecond: 1e8, partitions: 4_096 }

const named: readonly { name: string; load: Load; plant: Plant }[] = [
  { name: '1 M', load: million, plant: today },
  { name: '1 M, lz4', load: { ...million, compression: 'lz4' }, plant: today },
  {
    name: '1 M, lz4, 4,096 partitions',
    load: { ...million, compression: 'lz4', partitions: 4_096 },
    plant: today,
  },
  {
    name: '1 M, lz4, 10,000 groups',
    load: { ...million, compression: 'lz4', groups: 10_000 },
    plant: today,
  },
  {
    name: '1 M, lz4, of 1,000 bytes',
    load: { ...million, compression: 'lz4', recordBytes: 1_000 },
    plant: today,
  },
  { name: '100 M, 4,096 partitions', load: hundred, plant: large },
  { name: '100 M, lz4, 4,096', load: { ...hundred, compression: 'lz4' }, plant: large },
  { name: '100 M, zstd, 4,096', load: { ...hundred, compression: 'zstd' }, plant: large },
]

/** Partitions, bridges and executors for which the calls are told. */
const registers = [
  { partitions: 64, bridges: 1, executors: 4 },
  { partitions: 1_000, bridges: 1, executors: 64 },
  { partitions: 1_000, bridges: 10, executors: 500 },
  { partitions: 4_096, bridges: 32, executors: 200 },
  { partitions: 10_000, bridges: 32, executors: 500 },
]

/** How the page's fleets are played. */
export const pageTerms = {
  recordsPerExecutor: 1e6 / costs.record.micros.executor,
  residenceMs: usual.residenceMs,
  maxResultDelayMs: 2_000,
  seed: 1,
}

/** Each table of the page by its name; those of courses hang on what they came to. */
export function tables(outcomes: readonly Outcome[], assumed: Assumptions = usual) {
  const lz4: Load = { ...hundred, compression: 'lz4' }
  return {
    'parts-million': partsTable(reportOf(million, today, assumed)),
    'parts-hundred': partsTable(reportOf(lz4, large, assumed)),
    loads: loadsTable(
      named.map(({ name, load, plant }) => ({ name, ...reportOf(load, plant, assumed) })),
    ),
    'sensitivity-million': sensitivityTable(million, today, assumed),
    'sensitivity-hundred': sensitivityTable(lz4, large, assumed),
    engines: enginesTable(hundred, assumed),
    calls: callsTable(registers),
    bounds: boundsTable([4, 64, 300]),
    fleet: outcomesTable(outcomes),
  }
}

/** The page with these tables in the places of their names. @throws RefusalError for a place too few or many */
export function filled(page: string, blocks: Readonly<Record<string, string>>): string {
  const used = new Set<string>()
  const text = page.replace(/<!-- capacity (\S+) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const block = blocks[name]
    if (block === undefined) throw new RefusalError(`the page has a place for no table, ${name}`)
    used.add(name)
    return `<!-- capacity ${name} -->\n\n${block}\n\n<!-- end -->`
  })
  const missing = Object.keys(blocks).filter((name) => !used.has(name))
  if (missing.length > 0) throw new RefusalError(`the page has no place for ${missing.join(', ')}`)
  return text
}
