import { expect, test } from 'bun:test'
import { Turns } from '../../../actors/executor/turns.ts'

test('one works at a time, in the order in which they asked, also behind one that failed', async () => {
  const turns = new Turns()
  const said: string[] = []
  const work = async (name: string) => {
    said.push(`${name} begins`)
    await Bun.sleep(1)
    said.push(`${name} ends`)
    return name
  }
  const first = turns.take(() => work('a'))
  const failing = turns.take(async () => {
    await work('b')
    throw new Error('no')
  })
  const last = turns.take(() => work('c'))
  expect(await first).toBe('a')
  expect(await failing.catch((error: unknown) => String(error))).toBe('Error: no')
  expect(await last).toBe('c')
  expect(said).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]))
})
