import { describe, expect, test } from 'bun:test'
import { UsageError } from '../../actors/errors.ts'
import {
  choiceFlag,
  choicesFlag,
  numberFlag,
  parseFlags,
  wholeNumberFlag,
} from '../../actors/flags.ts'

const command = {
  help: 'Usage',
  options: { rate: { type: 'string' }, loud: { type: 'boolean' } },
  positionals: ['file'],
} as const
const parse = (...argv: string[]) =>
  parseFlags({ ...command, positionals: [...command.positionals] }, argv)

describe('flags', () => {
  test('are taken with = or as the next argument, beside positionals', () => {
    expect(parse('a.ts', '--rate', '5', '--loud')).toMatchObject({
      values: { rate: '5', loud: true },
      positionals: ['a.ts'],
    })
    expect(parse('--rate=5').values.rate).toBe('5')
  })

  test.each([
    [['--speed', '5'], /^Unknown option '--speed'; see --help$/],
    [['--rate'], /^Option '--rate <value>' argument missing; see --help$/],
    [['--loud=1'], /^Option '--loud' does not take an argument; see --help$/],
    [['a', 'b'], /^unexpected argument "b"; see --help$/],
    [['-x'], /^Unknown option '-x'; see --help$/],
  ])('%p are refused in one line', (argv, message) => {
    expect(() => parse(...argv)).toThrow(UsageError)
    expect(() => parse(...argv)).toThrow(message)
  })

  test('with numbers have bounds', () => {
    const range = { from: 0, to: 100 }
    expect(wholeNumberFlag('rate', '007', range)).toBe(7)
    expect(wholeNumberFlag('rate', undefined, range)).toBeUndefined()
    expect(numberFlag('rate', '0.5', range)).toBe(0.5)
    for (const text of ['', ' ', '1e2', '0x10', '-1', '101', 'NaN', 'Infinity', '5 ', '5,5']) {
      const said = `--rate must be a number from 0 to 100, not ${JSON.stringify(text)}`
      expect(() => numberFlag('rate', text, range)).toThrow(said)
    }
    expect(() => wholeNumberFlag('rate', '1.5', range)).toThrow('--rate must be a whole number')
  })

  test('with choices name them', () => {
    expect(choiceFlag('from', 'latest', ['earliest', 'latest'])).toBe('latest')
    expect(() => choiceFlag('from', 'now', ['earliest', 'latest'])).toThrow(
      '--from must be one of earliest, latest, not "now"',
    )
  })

  test('with several choices give them in their own order', () => {
    expect(choicesFlag('of', 'c,a', ['a', 'b', 'c'])).toEqual(['a', 'c'])
    expect(choicesFlag('of', undefined, ['a'])).toBeUndefined()
    expect(() => choicesFlag('of', 'a,d', ['a', 'b'])).toThrow('--of must be some of a,b, not "d"')
  })
})
