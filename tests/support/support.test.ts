/**
 * What tests stand on: waiting with a name and a deadline, names, counting results, leaks.
 */
import { expect, test } from 'bun:test'
import { countsOf, failuresOf } from './counts.ts'
import { descendants } from './leaks.ts'
import { uniqueName } from '../../faults/names.ts'
import { until } from '../../faults/until.ts'
import { rejection } from './rejection.ts'

test('until resolves with the first truthy value and asks again after an error', async () => {
  const answers = [() => 0, () => null, () => Promise.reject(new Error('not yet')), () => 'there']
  const value = await until('the value', () => answers.shift()?.(), { everyMs: 1 })
  expect(value).toBe('there')
  expect(answers).toEqual([])
})

test('until names what it waited for and the last it saw', async () => {
  const options = { timeoutMs: 20, everyMs: 5 }
  expect((await rejection(until('three lights', () => false, options))).message).toContain(
    'Timed out after 20 ms waiting for three lights (last: false)',
  )
  const failing = () => Promise.reject(new Error('connection lost'))
  expect((await rejection(until('an answer', failing, options))).message).toContain(
    'waiting for an answer (last: Error: connection lost)',
  )
})

test('a condition that never settles does not outlast the deadline', async () => {
  const options = { timeoutMs: 20, everyMs: 5 }
  const silence = until('silence', () => new Promise<boolean>(() => undefined), options)
  expect((await rejection(silence)).message).toContain('Timed out after 20 ms waiting for silence')
})

test('unique names are plain and differ', () => {
  const name = uniqueName('Late records, twice!')
  expect(name).toMatch(/^late-records-twice-[a-z0-9]+-\d+-\d+$/)
  expect(uniqueName('Late records, twice!')).not.toBe(name)
})

const head = (attributes: string) => `<?xml version="1.0"?>\n<testsuites ${attributes}>\n`

for (const [title, report, code, counts] of [
  ['all passed', head('name="bun test" tests="12" failures="0" skipped="2"'), 0, [10, 0]],
  ['some failed', head('tests="12" assertions="40" failures="3" skipped="0"'), 1, [9, 3]],
  ['an error beside the tests', head('tests="12" failures="0" skipped="0"'), 1, [12, 1]],
  ['a crash without a report', undefined, 132, [0, 1]],
  ['nothing to do', undefined, 0, [0, 0]],
] as const) {
  test(`counts: ${title}`, () => {
    expect(countsOf(report, code)).toEqual({ passed: counts[0], failed: counts[1] })
  })
}

test.if(process.platform === 'linux')('living children are seen, ended ones are not', async () => {
  const child = Bun.spawn(['sleep', '60'])
  expect(descendants().map(({ pid }) => pid)).toContain(child.pid)
  child.kill()
  await child.exited
  expect(descendants().map(({ pid }) => pid)).not.toContain(child.pid)
})

test('failures are told with place and message', () => {
  const report = `<testsuites name="bun test" tests="2" failures="1">
    <testcase name="is fine" classname="windows" file="a.test.ts" />
    <testcase name="a &lt; b" classname="windows" file="a.test.ts" line="2">
      <failure type="Error" message="x">Error: one&#10;two &amp; three&#10;</failure>
    </testcase>
    <testcase name="is fine too" classname="windows" file="a.test.ts" />`
  expect(failuresOf(report)).toEqual(['a.test.ts > windows > a < b\nError: one\ntwo & three'])
  expect(failuresOf(undefined)).toEqual([])
})
