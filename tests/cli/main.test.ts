/** `millrace` as a person runs it: dispatch, help, exit codes. */
import { describe, expect, test } from 'bun:test'
import { resolve } from 'node:path'
import { exitCodes } from '../../actors/errors.ts'
import { commands } from '../../cli/commands.ts'
import { version } from '../../package.json'
import { freePort } from '../../services/ports.ts'
import { type Environment, runCommand, startCommand } from '../support/command.ts'

const root = resolve(import.meta.dir, '../..')

const millrace = (args: string[], environment: Environment = {}) =>
  runCommand(['cli/main.ts', ...args], { ...process.env, ...environment })

describe('millrace', () => {
  test('--help tells every command and every exit code', async () => {
    const { out, err, code } = await millrace(['--help'])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    for (const { name, about } of commands) {
      expect(out).toMatch(new RegExp(`^  ${name} +${RegExp.escape(about)}$`, 'm'))
    }
    for (const each of Object.values(exitCodes)) {
      expect(out).toMatch(new RegExp(`^  ${each.code} +${RegExp.escape(each.means)}$`, 'm'))
    }
  })

  test('without a command tells the same as a mistake', async () => {
    const { out, err, code } = await millrace([])
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(err).toStartWith('Usage: millrace <command>')
  })

  test('--version', async () => {
    expect(await millrace(['--version'])).toEqual({ out: `${version}\n`, err: '', code: 0 })
  })

  test('names the nearest commands where there is none of that name', async () => {
    expect(await millrace(['verfy'])).toEqual({
      out: '',
      err: 'millrace: there is no command "verfy"; did you mean verify?\n',
      code: 2,
    })
    const far = await millrace(['\x1b[31mnothing'])
    expect(far.code).toBe(2)
    expect(far.err).toBe(
      'millrace: there is no command "\\u001b[31mnothing"; see millrace --help\n',
    )
  })

  test('runs the command with its own arguments', async () => {
    const direct = Bun.spawnSync([process.execPath, 'simulate/main.ts', '--list'], { cwd: root })
    expect(await millrace(['simulate', '--list'])).toEqual({
      out: direct.stdout.toString(),
      err: '',
      code: 0,
    })
  })

  test('--help of a command is its own', async () => {
    const { out, code } = await millrace(['why', '--help'])
    expect(code).toBe(0)
    expect(out).toStartWith('Usage: bun run why')
  })
})

describe('exit codes', () => {
  test('2 for a mistake, in the words of the command', async () => {
    expect(await millrace(['services', 'sideways'])).toEqual({
      out: '',
      err: 'services: "sideways" is not one of up, down or status; see --help\n',
      code: 2,
    })
  })

  test('1 where it could not be done', async () => {
    const redis = `redis://127.0.0.1:${await freePort()}`
    const { err, code } = await millrace(['why'], { REDIS_URL: redis })
    expect(code).toBe(1)
    expect(err).toContain('does not answer')
  })

  for (const [signal, { code }] of [
    ['SIGINT', exitCodes.interrupted],
    ['SIGTERM', exitCodes.terminated],
  ] as const) {
    test(`${code} after ${signal}`, async () => {
      // Waits for a Redis that never comes.
      const redis = `redis://127.0.0.1:${await freePort()}`
      const child = startCommand(['cli/main.ts', 'verify'], { ...process.env, REDIS_URL: redis })
      const { value } = await child.stderr.getReader().read()
      expect(Buffer.from(value!).toString()).toContain('does not answer')
      child.kill(signal)
      expect(await child.exited).toBe(code)
    })
  }
})
