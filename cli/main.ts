#!/usr/bin/env bun
/**
 * `millrace <command>`: one name for all commands. A command runs in this process, so that signals,
 * terminal and exit code are its own, as when `bun run <command>` starts it.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { exitCodes, runMain, UsageError } from '../actors/errors.ts'
import { print } from '../actors/output.ts'
import { version } from '../package.json'
import { commands } from './commands.ts'
import { nearest } from './nearest.ts'

const root = join(import.meta.dir, '..')

/** The container image has what a pipeline and its operator need, and no more. */
const leftOut = 'not part of this installation; a clone of the source has every command'

const help = (): string => `
Usage: millrace <command> [arguments]

${commands.map(({ name, about }) => `  ${name.padEnd(11)}${about}`).join('\n')}

  --help     this text; millrace <command> --help tells of a command
  --version  the version

Exit codes:
${Object.values(exitCodes)
  .map(({ code, means }) => `  ${String(code).padEnd(5)}${means}`)
  .join('\n')}`

await runMain('millrace', async () => {
  const [name, ...others] = process.argv.slice(2)
  if (name === undefined || name === '--help' || name === '-h') {
    const out = name === undefined ? process.stderr : process.stdout
    out.write(`${help().trim()}\n`)
    return name === undefined ? exitCodes.usage.code : exitCodes.done.code
  }
  if (name === '--version') {
    print(version)
    return exitCodes.done.code
  }
  const command = commands.find((one) => one.name === name)
  if (!command) throw new UsageError(unknownText(name))
  if (!existsSync(join(root, command.main))) throw new UsageError(`${name} is ${leftOut}`)
  process.argv.splice(2, process.argv.length, ...others)
  await import(join(root, command.main))
  return undefined
})

function unknownText(name: string): string {
  const names = commands.map((command) => command.name)
  const meant = nearest(name, names)
  const hint = meant.length > 0 ? `did you mean ${meant.join(', ')}?` : 'see millrace --help'
  return `there is no command ${JSON.stringify(name)}; ${hint}`
}
