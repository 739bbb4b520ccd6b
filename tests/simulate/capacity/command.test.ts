/** `bun run capacity` as a person meets it. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { runCommand } from '../../support/command.ts'

setDefaultTimeout(30_000)

const run = (...args: string[]) => runCommand(['simulate/capacity/main.ts', ...args])

test('without a flag: the parts, what is full first, what is needed, and what is assumed', async () => {
  const { code, out, err } = await run()
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toStartWith('1 M records/s of 225 bytes, not compressed, 64 partitions')
  expect(out).toContain('Full first: bridges: threads, at 1.04 M records/s.')
  expect(out).toMatch(/Needs \d+ brokers, .* executors/)
  expect(out).toContain('| crossZone')
})

test('what is asked for is what is computed with', async () => {
  const flags = ['--rate', '2000000', '--assume', 'crossZone=0,replicas=1', '--price-vcpu', '1']
  const { code, out } = await run(...flags, '--compression', 'lz4', '--shards', '2', '--json')
  const told = JSON.parse(out) as {
    load: object
    plant: object
    assumed: object
    bill: { network: number }
  }
  expect(code).toBe(0)
  expect(told.load).toMatchObject({ recordsPerSecond: 2_000_000, compression: 'lz4' })
  expect(told.plant).toMatchObject({ shards: 2 })
  expect(told.assumed).toMatchObject({ crossZone: 0, replicas: 1, vcpuHour: 1 })
  expect(told.bill.network).toBe(0)
})

for (const [what, args, message] of [
  ['no rate', ['--rate', '0'], '--rate must be a number from 1 to 100000000000, not "0"'],
  [
    'too many groups',
    ['--groups', '100001'],
    '--groups must be a number from 1 to 100000, not "100001"',
  ],
  [
    'a slide that does not divide',
    ['--window', '10s', '--slide', '3s'],
    '--slide must divide --window',
  ],
  [
    'no duration',
    ['--window', 'long'],
    '--window must be a duration from 100 ms to 24 h, such as 10s, not "long"',
  ],
  [
    'an unknown codec',
    ['--compression', 'rar'],
    '--compression must be one of none, lz4, zstd, not "rar"',
  ],
  ['two at once', ['--fleet', '--page'], '--fleet and --page exclude each other'],
  ['an argument', ['fast'], 'unexpected argument "fast"; see --help'],
] as const) {
  test(`${what} is one line and exit code 2`, async () => {
    expect(await run(...args)).toEqual({ code: 2, out: '', err: `capacity: ${message}\n` })
  })
}

test('an assumption that is none, or that nothing can be computed with, is named', async () => {
  for (const text of ['warp=9', 'linkGbit=0', 'linkGbit', 'linkGbit=fast']) {
    const { code, err } = await run('--assume', text)
    expect(code).toBe(2)
    expect(err).toStartWith('capacity: --assume must be name=value of produceShare, ')
    expect(err).toEndWith(`not ${JSON.stringify(text)}\n`)
  }
})
