import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { peerNames } from '../../bench/options.ts'
import { pomOf } from '../../bench/peers/build.ts'
import { pinnedVersion } from '../../bench/peers/peer.ts'

const pom = `
  <artifactId>first</artifactId><version>1.0</version>
  <artifactId>first-more</artifactId>
  <version>2.0-3</version>`

test('the version that follows the whole name of the artifact', () => {
  expect(pinnedVersion(pom, 'first')).toBe('1.0')
  expect(pinnedVersion(pom, 'first-more')).toBe('2.0-3')
  expect(() => pinnedVersion(pom, 'second')).toThrow('no version of second')
})

test("every peer's versions are exact", () => {
  for (const name of [...peerNames, 'limits']) {
    const versions = readFileSync(pomOf(name), 'utf8').matchAll(/<version>([^<]*)<\/version>/g)
    for (const [, version] of versions) expect(version).toMatch(/^\d[\w.-]*$/)
  }
})
