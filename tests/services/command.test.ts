/**
 * `bun run services` as a person calls it: wrong usage, up, status, down, and that it leaves alone
 * what it did not start.
 */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { redisAnswers } from '../../services/answers.ts'
import { canInstall } from '../../services/debian.ts'
import { freePort, isListening } from '../../services/ports.ts'
import { testServices } from '../support/services.ts'
import { runCommand } from '../support/command.ts'

setDefaultTimeout(90_000)

const dir = mkdtempSync(join(tmpdir(), 'millrace-command-'))

afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Without what the developer's own environment names. */
const quiet = { KAFKA_BROKERS: '', REDIS_URL: '' }

async function services(args: string[], environment: Record<string, string> = {}) {
  const command = ['services/main.ts', ...args]
  const ran = await runCommand(command, { ...process.env, ...quiet, ...environment })
  const { out: stdout, err: stderr, code } = ran
  // Bun tells of a timer that kafkajs sets to less than 0; that is not ours to print.
  const lines = stderr.split('\n').filter((line) => line.startsWith('services: '))
  return { code, stdout, stderr, lines }
}

for (const [args, line] of [
  [[], 'services: say up, down or status; see --help'],
  [['sideways'], 'services: "sideways" is not one of up, down or status; see --help'],
  [['up', 'down'], 'services: unexpected argument "down"; see --help'],
  [['up', '--kafka-port', 'x'], 'services: --kafka-port must be a number from 1 to 65535, not "x"'],
  [['up', '--redis-port', '0'], 'services: --redis-port must be a number from 1 to 65535, not "0"'],
  [['up', '--where', 'x'], "services: Unknown option '--where'; see --help"],
] as const) {
  test(`wrong usage: services ${args.join(' ')}`, async () => {
    const result = await services([...args])
    expect(result).toMatchObject({ code: 2, stdout: '', stderr: `${line}\n` })
  })
}

test('an environment that is wrong is named, with exit code 2', async () => {
  const result = await services(['status'], { KAFKA_BROKERS: 'somewhere' })
  expect(result.code).toBe(2)
  expect(result.lines).toEqual(['services: KAFKA_BROKERS must be host:port[,host:port]'])
})

test('down --json of what was never started', async () => {
  const { stdout, code } = await services(['down', '--json', '--data', join(dir, 'never')])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    services: [
      { name: 'kafka', stopped: false },
      { name: 'redis', stopped: false },
    ],
  })
})

test('status --json of what the environment names, away', async () => {
  const address = `127.0.0.1:${await freePort()}`
  const named = { KAFKA_BROKERS: address, REDIS_URL: `redis://user:secret@${address}` }
  const { stdout, code } = await services(['status', '--json'], named)
  expect(code).toBe(1)
  const away = { address, answers: false, pid: null }
  expect(JSON.parse(stdout)).toEqual({
    services: [
      { name: 'kafka', ...away, variable: 'KAFKA_BROKERS' },
      { name: 'redis', ...away, variable: 'REDIS_URL' },
    ],
  })
})

test('--help tells the usage', async () => {
  const result = await services(['up', '--help'])
  expect(result.code).toBe(0)
  expect(result.stdout).toStartWith('usage: bun run services up|down|status')
})

test('up, up again, status, down and down again', async () => {
  const kafkaPort = await freePort()
  const redisPort = await freePort()
  const place = ['--data', join(dir, 'pair')]
  const ports = ['--kafka-port', String(kafkaPort), '--redis-port', String(redisPort)]
  try {
    const up = await services(['up', ...place, ...ports])
    expect(up.stderr).toContain(`Kafka 127.0.0.1:${kafkaPort} started (pid `)
    expect(up.stderr).toContain(`Redis 127.0.0.1:${redisPort} started (pid `)
    expect(up.code).toBe(0)

    // What was started is found by its directory, on whatever port it is.
    const again = await services(['up', ...place])
    expect(again.stderr).toContain(`Kafka 127.0.0.1:${kafkaPort} was running`)
    expect(again.stderr).toContain(`Redis 127.0.0.1:${redisPort} was running`)

    const other = await services(['up', ...place, '--redis-port', String(await freePort())])
    expect(other.code).toBe(1)
    expect(other.lines.join()).toContain(`Redis runs on port ${redisPort} with this data (pid `)

    const status = await services(['status', ...place])
    const json = await services(['status', '--json', ...place])
    expect(json.code).toBe(0)
    const answers = true
    expect(JSON.parse(json.stdout)).toEqual({
      services: [
        {
          name: 'kafka',
          address: `127.0.0.1:${kafkaPort}`,
          answers,
          variable: null,
          pid: expect.any(Number),
        },
        {
          name: 'redis',
          address: `127.0.0.1:${redisPort}`,
          answers,
          variable: null,
          pid: expect.any(Number),
        },
      ],
    })
    expect(status.code).toBe(0)
    expect(status.stdout).toMatch(
      new RegExp(
        `^Kafka 127.0.0.1:${kafkaPort} answers, started here \\(pid \\d+\\)\nRedis 127.0.0.1:${redisPort} answers, started here \\(pid \\d+\\)\n$`,
      ),
    )
  } finally {
    const down = await services(['down', ...place])
    expect(down.stderr).toContain('Kafka stopped\nRedis stopped\n')
  }
  expect(await isListening(kafkaPort)).toBe(false)
  expect(await isListening(redisPort)).toBe(false)
  const again = await services(['down', ...place])
  expect(again.code).toBe(0)
  expect(again.stderr).toContain('Kafka nothing to stop: not started by "services up"\n')
  const status = await services(['status', ...place, ...ports])
  expect(status.code).toBe(1)
  expect(status.stdout).toContain(`Redis 127.0.0.1:${redisPort} does not answer\n`)
})

test('what the environment names is used, and down leaves it alone', async () => {
  const { environment, kafkaBrokers, redisUrl } = await testServices()
  const place = ['--data', join(dir, 'named')]
  const up = await services(['up', ...place], environment)
  expect(up.code).toBe(0)
  expect(up.stderr).toContain(`Kafka ${kafkaBrokers} named by the environment\n`)
  await services(['down', ...place], environment)
  expect(await redisAnswers(redisUrl)).toBe(true)
})

test('what the environment names and does not answer is told, and none is started', async () => {
  const { environment } = await testServices()
  const port = await freePort()
  const REDIS_URL = `redis://:canary-password@127.0.0.1:${port}`
  const up = await services(['up', '--data', join(dir, 'absent')], { ...environment, REDIS_URL })
  expect(up.code).toBe(1)
  expect(up.lines).toEqual([
    `services: Redis at 127.0.0.1:${port} does not answer; start it, or unset REDIS_URL to have one started here`,
  ])
  expect(up.stdout + up.stderr).not.toContain('canary')
  expect(await isListening(port)).toBe(false)
})

test('a port that something else has is told', async () => {
  const { kafkaBrokers, environment } = await testServices()
  const taken = kafkaBrokers.split(':')[1] ?? ''
  const place = ['--data', join(dir, 'taken')]
  const up = await services(['up', ...place, '--redis-port', taken], environment)
  expect(up.code).toBe(1)
  expect(up.lines).toEqual([
    `services: 127.0.0.1:${taken} is in use, but no Redis answers there; free it, name yours in REDIS_URL, or give --redis-port`,
  ])
})

test('a missing program is told with what to install', async () => {
  const { environment } = await testServices()
  const redisPort = ['--redis-port', String(await freePort())]
  const place = ['--data', join(dir, 'bare')]
  const bare = { ...environment, PATH: join(dir, 'no-programs') }
  const up = await services(['up', ...place, ...redisPort], bare)
  expect(up.code).toBe(1)
  expect(up.lines).toEqual([
    'services: no Redis: install redis-server or valkey-server 7.0 or newer, start Docker, or set REDIS_URL',
  ])
})

test.if(canInstall())('as root on Debian a missing program is installed', async () => {
  const { environment } = await testServices()
  const programs = mkdtempSync(join(dir, 'apt-'))
  const redis = Bun.which('redis-server') ?? Bun.which('valkey-server') ?? ''
  // A stand-in that notes what it is called for, and "installs" the one that is there already.
  const script = `#!/bin/sh\necho "$@" >> '${programs}/calls'\n[ "$1" = update ] || /bin/ln -s '${redis}' '${programs}/redis-server'\n`
  writeFileSync(join(programs, 'apt-get'), script, { mode: 0o755 })
  const place = ['--data', join(dir, 'installed'), '--redis-port', String(await freePort())]
  const bare = { ...environment, PATH: programs }
  try {
    const up = await services(['up', ...place], bare)
    expect(up.stderr).toContain('apt-get update\n')
    expect(up.stderr).toContain('installed redis-server\n')
    expect(up.code).toBe(0)
    const calls = readFileSync(join(programs, 'calls'), 'utf8').trim().split('\n')
    expect(calls[0]).toStartWith('update ')
    expect(calls[1]).toMatch(/^install .* redis-server$/)
  } finally {
    await services(['down', ...place], bare)
  }
})

test('a Redis that is too old counts as missing', async () => {
  const { environment } = await testServices()
  const programs = mkdtempSync(join(dir, 'old-'))
  const script = '#!/bin/sh\necho "Redis server v=6.2.6 sha=00000000:0 malloc=libc bits=64"\n'
  writeFileSync(join(programs, 'redis-server'), script, { mode: 0o755 })
  const redisPort = ['--redis-port', String(await freePort())]
  const old = { ...environment, PATH: programs }
  const up = await services(['up', '--data', join(dir, 'old'), ...redisPort], old)
  expect(up.code).toBe(1)
  expect(up.lines.join()).toContain('7.0 or newer')
})
