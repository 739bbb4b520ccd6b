/**
 * What each command takes, for completion: its flags from the very options that it parses by, asked of
 * the command itself (actors/flags.ts), and what they are about from its --help.
 *
 *   commands → each run with --describe-flags → Described → shells.ts
 */
import { join } from 'node:path'
import * as v from 'valibot'
import { DESCRIBE } from '../actors/flags.ts'
import { commands, type Listed } from './commands.ts'

/** What may stand in one place: one of some words, a file, or what nobody can list. */
export type Expected = { kind: 'words'; words: string[] } | { kind: 'files' } | { kind: 'value' }

export interface Flag {
  name: string
  /** Null where it takes no value. */
  value: Expected | null
  /** One line; '' where the help has none. */
  about: string
  multiple: boolean
}

export interface Described extends Pick<Listed, 'name' | 'about'> {
  flags: Flag[]
  /** Of its arguments, by place. */
  places: Expected[]
  /** Of every argument, whatever its place; null where `places` say it. */
  everywhere: Expected | null
}

const answerSchema = v.object({
  help: v.string(),
  options: v.record(
    v.string(),
    v.object({
      type: v.picklist(['string', 'boolean']),
      multiple: v.optional(v.boolean()),
      choices: v.optional(v.array(v.string())),
    }),
  ),
  positionals: v.optional(v.array(v.string()), []),
})
export type Answer = v.InferOutput<typeof answerSchema>

const root = join(import.meta.dir, '..')

/** All commands, in the table's order. */
export const describeAll = (): Promise<Described[]> =>
  Promise.all(commands.map(async (one) => describedOf(one, await ask(one))))

async function ask({ name, main }: Listed): Promise<Answer> {
  const child = Bun.spawn([process.execPath, join(root, main), DESCRIBE], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [text, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) throw new Error(`${name} ${DESCRIBE} ended with code ${code}: ${complaint}`)
  return v.parse(answerSchema, JSON.parse(text))
}

/** Pure. */
export function describedOf(
  { name, about }: Pick<Listed, 'name' | 'about'>,
  { help, options, positionals }: Answer,
): Described {
  const tellings = toldFlags(help)
  const flags = Object.entries(options).map(([flag, { type, multiple = false, choices }]): Flag => {
    const { value = '', about = '' } = tellings.get(flag) ?? {}
    const expected = choices ? { kind: 'words' as const, words: choices } : expectedOf(value)
    return { name: flag, value: type === 'string' ? expected : null, about, multiple }
  })
  flags.push({ name: 'help', value: null, about: 'what it does, and its flags', multiple: false })
  const isList = positionals.length > 0 && positionals.every((each) => /^[\w-]+$/.test(each))
  return {
    name,
    about,
    flags,
    places: isList ? [] : positionals.map(expectedOf),
    everywhere: isList ? { kind: 'words', words: positionals } : null,
  }
}

/** `up|down` is one of those words; what is named like a file is one; anything else is a value. */
function expectedOf(placeholder: string): Expected {
  if (/^[\w-]+(\|[\w-]+)+$/.test(placeholder)) {
    return { kind: 'words', words: placeholder.split('|') }
  }
  return /\/|^(FILE|DIR)$/.test(placeholder) ? { kind: 'files' } : { kind: 'value' }
}

/** `--min N`, `--from earliest|latest`, `--offset P:O`, `--quiet`. */
const told = String.raw`--[\w-]+(?: (?:[A-Z:]+|[\w-]+(?:\|[\w-]+)+)(?![\w|]))?`
const toldLine = new RegExp(String.raw`^ +(${told}(?:, ${told})*)(?: +(.*))?$`)

/** The lines of a help that begin with flags: `  --min N, --max N   what they are about`. */
function toldFlags(help: string): Map<string, { value: string; about: string }> {
  const found = new Map<string, { value: string; about: string }>()
  for (const line of help.split('\n')) {
    const [, flags = '', about = ''] = toldLine.exec(line) ?? []
    for (const [, name, value = ''] of flags.matchAll(/--([\w-]+)(?: ([^\s,]+))?/g)) {
      if (!found.has(name!)) found.set(name!, { value, about })
    }
  }
  return found
}
