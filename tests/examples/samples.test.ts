/** The committed samples: what their seed gives, records that their jobs take, with what they are for. */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { testJob } from 'millrace/testing'
import { loadJob } from '../../actors/load.ts'
import { exampleNames, jobFileOf, sampleFileOf, samples } from '../../examples/samples/all.ts'
import { linesOf } from '../../examples/samples/sample.ts'

describe.each(exampleNames)('the sample of %s', (name) => {
  const lines = linesOf(samples[name])

  test('is what is committed', () => {
    expect(readFileSync(sampleFileOf(name), 'utf8')).toBe(`${lines.join('\n')}\n`)
  })

  test('is counted or filtered, and closes windows', async () => {
    const it = testJob(await loadJob(jobFileOf(name)))
    await it.feedAll(lines)
    expect(await it.rejects()).toEqual([])
    const { counted, filtered, late } = await it.totals()
    expect([counted + filtered, late]).toEqual([lines.length, 0])
    expect((await it.windows('closed')).length).toBeGreaterThan(5)
  })

  test('comes at another time when it is played', () => {
    const { make: _, time, at } = samples[name]
    const record: unknown = JSON.parse(lines[7]!)
    const moved = at(record, time(record) + 86_400_000)
    expect(time(moved)).toBe(time(record) + 86_400_000)
    expect(Object.keys(moved as object)).toEqual(Object.keys(record as object))
  })
})

test('in the sample of payments two cards are tried out, and no other', async () => {
  const it = testJob(await loadJob(jobFileOf('payments')))
  await it.feedAll(linesOf(samples.payments))
  const cards = (await it.windows()).filter(({ values }) => values.triedOut)
  expect([...new Set(cards.map(({ key }) => String(key.card)))].sort()).toEqual(['c-07', 'c-31'])
})
