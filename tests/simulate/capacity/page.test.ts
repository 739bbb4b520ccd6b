/** docs/capacity.md: its tables and pictures are what the program makes. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  filled,
  pageFile,
  pageTerms,
  picturesDir,
  tables,
} from '../../../simulate/capacity/page.ts'
import { table } from '../../../simulate/capacity/table.ts'
import { courses } from '../../../simulate/fleet/courses.ts'
import { picturesOf, playCourse } from '../../../simulate/fleet/report.ts'

/** A day of a fleet takes seconds, and more on a busy machine. */
setDefaultTimeout(120_000)

test('docs/capacity.md and its pictures are what `bun run capacity --page` writes', () => {
  const outcomes = courses.map((course) => playCourse(course, pageTerms))
  const page = readFileSync(pageFile, 'utf8')
  expect(filled(page, tables(outcomes))).toBe(page)
  for (const { name, svg } of picturesOf(outcomes)) {
    expect(readFileSync(join(picturesDir, `${name}.svg`), 'utf8')).toBe(svg)
  }
})

test('a page is filled in its places alone; one too few or too many is refused', () => {
  const page = 'a\n<!-- capacity x -->\nold\n<!-- end -->\nb <!-- end -->'
  const full = 'a\n<!-- capacity x -->\n\nnew\n\n<!-- end -->\nb <!-- end -->'
  expect(filled(page, { x: 'new' })).toBe(full)
  expect(filled(full, { x: 'new' })).toBe(full)
  expect(() => filled(page, { x: 'new', y: 'more' })).toThrow('the page has no place for y')
  expect(() => filled(page, {})).toThrow('the page has a place for no table, x')
})

test('a table has figures to the right, all else to the left', () => {
  expect(
    table(
      ['part', 'full at', 'of'],
      [
        ['Redis', '1.1 M', 'one'],
        ['b', '–', 'two'],
      ],
    ),
  ).toBe(
    [
      '| part  | full at | of  |',
      '| ----- | ------: | --- |',
      '| Redis |   1.1 M | one |',
      '| b     |       – | two |',
    ].join('\n'),
  )
})
