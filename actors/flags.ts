/**
 * Command-line flags: `parseArgs` of node:util with one clear line for what is wrong, and --help.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { parseDuration } from './duration.ts'
import { messageOf, UsageError } from './errors.ts'

export interface Command<Options extends NonNullable<ParseArgsConfig['options']>> {
  /** The whole text that --help prints. */
  help: string
  /** `choices`, where an option has them, are words that completion offers; nothing is checked by them. */
  options: Options
  /** Names of the positional arguments, for the message about one too many. */
  positionals?: string[]
}

/** Asks a command for its own flags, as JSON: what completion is made from (cli/flags.ts). */
export const DESCRIBE = '--describe-flags'

/**
 * Parses `argv` (without the program's name); prints the help and exits 0 for --help.
 * @throws UsageError that names the flag
 */
export function parseFlags<Options extends NonNullable<ParseArgsConfig['options']>>(
  command: Command<Options>,
  argv: string[] = process.argv.slice(2),
) {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`${command.help.trim()}\n`)
    process.exit(0)
  }
  if (argv.length === 1 && argv[0] === DESCRIBE) {
    process.stdout.write(`${JSON.stringify(command)}\n`)
    process.exit(0)
  }
  const parsed = parseKnown(command, argv)
  const allowed = command.positionals ?? []
  if (parsed.positionals.length > allowed.length) {
    const extra = parsed.positionals[allowed.length]
    throw new UsageError(`unexpected argument ${JSON.stringify(extra)}; see --help`)
  }
  return parsed
}

/** A whole number within bounds, or `fallback` where the flag is absent. */
export function wholeNumberFlag(
  name: string,
  text: string | undefined,
  range: { from: number; to: number },
): number | undefined {
  const value = numberFlag(name, text, range)
  if (value !== undefined && !Number.isInteger(value)) {
    throw new UsageError(`--${name} must be a whole number, not ${JSON.stringify(text)}`)
  }
  return value
}

/** A number within bounds; undefined where the flag is absent. */
export function numberFlag(
  name: string,
  text: string | undefined,
  range: { from: number; to: number },
): number | undefined {
  if (text === undefined) return undefined
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= range.from && value <= range.to)) {
    throw new UsageError(
      `--${name} must be a number from ${range.from} to ${range.to}, not ${JSON.stringify(text)}`,
    )
  }
  return value
}

/** Milliseconds of a duration such as `2s`, within bounds; undefined where the flag is absent. */
export function durationFlag(
  name: string,
  text: string | undefined,
  range: { fromMs: number; toMs: number },
): number | undefined {
  if (text === undefined) return undefined
  const ms = parseDuration(text)
  if (ms === null || ms < range.fromMs || ms > range.toMs) {
    const allowed = `from ${range.fromMs} ms to ${range.toMs / 1_000} s, such as 2s or 500ms`
    throw new UsageError(`--${name} must be a duration ${allowed}, not ${JSON.stringify(text)}`)
  }
  return ms
}

/** One of the named choices; undefined where the flag is absent. */
export function choiceFlag<const Choice extends string>(
  name: string,
  text: string | undefined,
  choices: readonly Choice[],
): Choice | undefined {
  if (text === undefined) return undefined
  const found = choices.find((choice) => choice === text)
  if (!found) {
    throw new UsageError(
      `--${name} must be one of ${choices.join(', ')}, not ${JSON.stringify(text)}`,
    )
  }
  return found
}

/** Some of the choices, with commas between, in the choices' own order; undefined where the flag is absent. */
export function choicesFlag<const Choice extends string>(
  name: string,
  text: string | undefined,
  choices: readonly Choice[],
): Choice[] | undefined {
  if (text === undefined) return undefined
  const wanted = text.split(',')
  const unknown = wanted.find((one) => !choices.some((choice) => choice === one))
  if (unknown !== undefined) {
    const allowed = `some of ${choices.join(',')}`
    throw new UsageError(`--${name} must be ${allowed}, not ${JSON.stringify(unknown)}`)
  }
  return choices.filter((choice) => wanted.includes(choice))
}

function parseKnown<Options extends NonNullable<ParseArgsConfig['options']>>(
  command: Command<Options>,
  argv: string[],
) {
  try {
    return parseArgs({
      args: argv,
      options: command.options,
      allowPositionals: true,
      strict: true,
    })
  } catch (error) {
    throw new UsageError(`${messageOf(error).split('. ')[0]}; see --help`, { cause: error })
  }
}
