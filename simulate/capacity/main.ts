/** `bun run capacity`: what a load would take, from what was measured; and fleets of hundreds, played. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runMain } from '../../actors/errors.ts'
import { print } from '../../actors/output.ts'
import { watchedProgress } from '../../cli/progress.ts'
import { courses } from '../fleet/courses.ts'
import { type Outcome, outcomesTable, picturesOf, playCourse } from '../fleet/report.ts'
import { type Asked, readOptions } from './options.ts'
import { filled, pageFile, pageTerms, picturesDir, tables } from './page.ts'
import { loadText, needsText, partsTable, reportOf, sensitivityTable } from './report.ts'
import { amount } from './table.ts'
import { partNames } from './parts.ts'

function main(): Promise<number> {
  const asked = readOptions()
  switch (asked.does) {
    case 'load':
      tellLoad(asked)
      break
    case 'fleet':
      tellFleet(asked)
      break
    case 'page':
      writePage()
      break
    default:
      asked.does satisfies never
  }
  return Promise.resolve(0)
}

function tellLoad({ load, plant, assumed, json }: Asked): void {
  const report = reportOf(load, plant, assumed)
  if (json) return print(JSON.stringify({ ...report, assumed }, null, 2))
  const { first, micros, recordsPerEntry } = report
  const each = Object.entries(micros).map(([name, value]) => `${name} ${value.toFixed(2)}`)
  print(loadText(load))
  print(`µs a record: ${each.join(', ')}; ${amount(recordsPerEntry)} records an entry\n`)
  print(partsTable(report))
  print(`\nFull first: ${partNames[first.name]}, at ${amount(first.ceiling)} records/s.`)
  print(`${needsText(report)}\n`)
  print(sensitivityTable(load, plant, assumed))
}

function tellFleet({ assumed, json }: Asked): void {
  const outcomes = playAll({ ...pageTerms, residenceMs: assumed.residenceMs })
  if (!json) return print(outcomesTable(outcomes))
  const told = outcomes.map((outcome) => ({ ...outcome, glances: undefined }))
  print(JSON.stringify(told, null, 2))
}

function writePage(): void {
  const outcomes = playAll(pageTerms)
  writeFileSync(pageFile, filled(readFileSync(pageFile, 'utf8'), tables(outcomes)))
  mkdirSync(picturesDir, { recursive: true })
  for (const { name, svg } of picturesOf(outcomes)) {
    writeFileSync(join(picturesDir, `${name}.svg`), svg)
  }
}

function playAll(terms: typeof pageTerms): Outcome[] {
  const log = watchedProgress()
  const outcomes = courses.map((course) => {
    log.step(`${course.name}: ${course.about} …`)
    return playCourse(course, terms)
  })
  log.end()
  return outcomes
}

await runMain('capacity', main)
