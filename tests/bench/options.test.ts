import { expect, test } from 'bun:test'
import { UsageError } from '../../actors/errors.ts'
import { readOptions } from '../../bench/options.ts'

test('every peer is played unless something else is said', () => {
  expect(readOptions([]).peers).toEqual(['flink', 'streams', 'spark'])
  expect(readOptions(['--peers', 'spark,flink']).peers).toEqual(['flink', 'spark'])
  expect(readOptions(['--quick']).peers).toEqual([])
})

test('a flag that can not be used is named with what is allowed', () => {
  const wrong: [string[], string][] = [
    [['--peers', 'flink,storm'], '--peers must be some of flink,streams,spark, not "storm"'],
    [['--peers', ''], '--peers must be some of flink,streams,spark, not ""'],
    [['--quick', '--peers', 'flink'], '--quick is Millrace alone and takes no --peers'],
    [['--compression', 'gzip'], '--compression must be one of none, lz4, zstd, not "gzip"'],
    [['--rounds', '0'], '--rounds must be a number from 1 to 20, not "0"'],
  ]
  for (const [argv, message] of wrong) {
    expect(() => readOptions(argv)).toThrow(new UsageError(message))
  }
})
