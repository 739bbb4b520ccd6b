import { describe, expect, test } from 'bun:test'
import { createLog, type Fields, logFormat } from '../../actors/log.ts'

function told(human: boolean, event: string, fields: Fields = {}, actor = 'bridge'): string {
  const lines: string[] = []
  createLog(actor, 'info', (line) => void lines.push(line), human).info(event, fields)
  expect(lines.length).toBe(1)
  return lines[0]!
}
const json = (event: string, fields: Fields = {}, actor?: string) =>
  JSON.parse(told(false, event, fields, actor)) as Record<string, unknown>

/** Two forms of an escape sequence, a new line, a line separator, right-to-left, a hidden letter. */
const hostile =
  'a\x1b[31mb\x9b31mc\nd\r\x00\x7f\u0085\u2028\u2029\u202e\u2066\u200f\ufeff\u{e0041}\ud800'
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

describe('what the world wrote', () => {
  const places: [string, (text: string, human: boolean) => string][] = [
    ['an event', (text, human) => told(human, text)],
    ['a value', (text, human) => told(human, 'x', { value: text })],
    ['a name', (text, human) => told(human, 'x', { [text]: 1 })],
    ['an actor', (text, human) => told(human, 'x', {}, text)],
    ['an error', (text, human) => told(human, 'x', { error: new Error(text) })],
  ]
  for (const [place, write] of places) {
    for (const human of [true, false]) {
      test(`stays one line that steers nothing: ${place}, ${human ? 'text' : 'JSON'}`, () => {
        const line = write(hostile, human)
        expect(line.endsWith('\n')).toBe(true)
        expect(line.slice(0, -1)).not.toMatch(steering)
      })
    }
  }

  test('comes out of JSON as it was, but for a lone half of a character', () => {
    const value = 'é 漢 😀 "quoted" \\ \x1b[0m \u009b \u2028 \u202e \u{e0041}'
    expect(json(value, { value })).toMatchObject({ event: value, value })
    expect(json('x', { value: '\ud800' }).value).toBe('\ud800')
  })

  test('is legible in text where it is harmless', () => {
    expect(told(true, 'naïve 漢字 😀', { value: 'ok' })).toContain('naïve 漢字 😀 value="ok"')
  })
})

describe('a line has a bound', () => {
  test('values and events are cut, never inside a character', () => {
    const cut = json('e'.repeat(5_000), { value: 'v'.repeat(501), whole: 'w'.repeat(500) })
    expect(cut.event).toBe(`${'e'.repeat(999)}…`)
    expect(cut.value).toBe(`${'v'.repeat(499)}…`)
    expect(cut.whole).toBe('w'.repeat(500))
    const halved = `${'v'.repeat(498)}😀${'v'.repeat(10)}`
    expect(json('x', { value: halved }).value).toBe(`${'v'.repeat(498)}…`)
    expect(json('x', { value: `v${halved}` }).value).toBe(`v${'v'.repeat(498)}…`)
  })

  test('fields too, and it says how many are left out', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, k) => [`f${k}`, k]))
    const line = json('x', many)
    expect(line.f31).toBe(31)
    expect(line).not.toHaveProperty('f32')
    expect(line.fieldsLeftOut).toBe(68)
    expect(Object.keys(json('x', { ['n'.repeat(99)]: 1 })).at(-1)!.length).toBe(60)
  })
})

describe('values', () => {
  test('of every kind are told', () => {
    const line = json('x', {
      text: '',
      yes: true,
      nothing: null,
      absent: undefined,
      nan: Number.NaN,
      endless: -Infinity,
      huge: 1e300,
      whole: 2 ** 53,
      small: 5e-324,
    })
    expect(line).toEqual({
      at: line.at,
      level: 'info',
      actor: 'bridge',
      event: 'x',
      text: '',
      yes: true,
      nothing: null,
      nan: 'NaN',
      endless: '-Infinity',
      huge: 1e300,
      whole: 2 ** 53,
      small: 5e-324,
    })
  })

  test('that have none of the types end no actor', () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    const strange = { circle, big: 10n, list: [1, 'a'], fn: () => 1, sign: Symbol('s') }
    const line = json('x', strange as unknown as Fields)
    expect(line).toMatchObject({ circle: '[object Object]', big: '10', list: '[1,"a"]' })
  })

  test('an error is told with what caused it, and nothing twice', () => {
    const root = new Error('ECONNREFUSED')
    const middle = new Error('no connection: ECONNREFUSED', { cause: root })
    const error = new Error('can not read', { cause: middle })
    expect(json('x', { error }).error).toBe('can not read ← no connection: ECONNREFUSED')
    const all = new AggregateError([new Error('first'), new Error('second')])
    expect(json('x', { error: all }).error).toBe('AggregateError ← first')
    const round = new Error('round')
    round.cause = round
    expect(json('x', { error: round }).error).toBe('round')
  })

  test('that are named like what each line has do not take its place', () => {
    const line = json('x', { event: 'y', level: 'z', at: 1, actor: 'w' })
    expect(line).toMatchObject({ event: 'x', level: 'info', actor: 'bridge' })
    expect(line).toMatchObject({ event_: 'y', level_: 'z', at_: 1, actor_: 'w' })
  })
})

test('only levels from the chosen one on are told', () => {
  for (const [level, count] of [
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
  ] as const) {
    const lines: string[] = []
    const log = createLog('a', level, (line) => void lines.push(line), false)
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]('x')
    expect(lines.length).toBe(count)
  }
})

describe('the form', () => {
  const form = (environment: Record<string, string>, isTerminal: boolean) =>
    logFormat(environment, isTerminal)
  test('is for people on a terminal, JSON elsewhere, and what LOG_FORMAT says', () => {
    expect(form({}, true)).toEqual({ human: true, colour: true })
    expect(form({}, false)).toEqual({ human: false, colour: false })
    expect(form({ LOG_FORMAT: '' }, true).human).toBe(true)
    expect(form({ LOG_FORMAT: 'json' }, true)).toEqual({ human: false, colour: false })
    expect(form({ LOG_FORMAT: 'text' }, false)).toEqual({ human: true, colour: false })
  })

  test('has no colours where they are not wanted', () => {
    expect(form({ NO_COLOR: '1' }, true).colour).toBe(false)
    expect(form({ NO_COLOR: '' }, true).colour).toBe(true)
    expect(form({ TERM: 'dumb' }, true).colour).toBe(false)
  })

  test('for people has time, level, actor, event and fields; colours change nothing else', () => {
    const lines: string[] = []
    const write = (line: string) => void lines.push(line)
    createLog('bridge', 'info', write, true).warn('waits', { records: 5 })
    createLog('bridge', 'info', write, { human: true, colour: true }).warn('waits', { records: 5 })
    createLog('bridge', 'info', write, true).info('goes on')
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN  bridge       waits records=5\n$/)
    expect(lines[1]).toContain('\x1b[33mWARN \x1b[0m')
    const plain = Bun.stripANSI(lines[1]!)
    expect(plain.slice(12)).toBe(lines[0]!.slice(12))
    expect(lines[2]!.slice(12)).toBe(' INFO  bridge       goes on\n')
  })
})
