import { expect, test } from 'bun:test'
// @ts-expect-error The page is JavaScript, without declarations.
import { bytes } from '../../web/page/format.js'

test('memory has the unit that makes it short', () => {
  const MIB = 2 ** 20
  expect([0, 92.44 * MIB, 1_023 * MIB, 22_700.9 * MIB, null].map((value) => bytes(value))).toEqual([
    '0 MiB',
    '92.4 MiB',
    '1,023 MiB',
    '22.2 GiB',
    '–',
  ])
})
