/** Completion as shells make it of the scripts: bash itself, zsh and fish where they are installed. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { commands } from '../../cli/commands.ts'
import { type Answer, type Described, describeAll, describedOf } from '../../cli/flags.ts'
import { bashScript } from '../../cli/shells/bash.ts'
import { fishScript } from '../../cli/shells/fish.ts'
import { zshScript } from '../../cli/shells/zsh.ts'

const root = resolve(import.meta.dir, '../..')
const dir = mkdtempSync(join(tmpdir(), 'millrace-completion-'))

let described: Described[]
beforeAll(async () => {
  described = await describeAll()
  writeFileSync(join(dir, 'bash'), bashScript(described))
  writeFileSync(join(dir, 'zsh'), zshScript(described))
  writeFileSync(join(dir, 'fish'), fishScript(described))
}, 60_000)
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Lines that a program prints, run in the project's root. */
async function linesOf(command: string[]): Promise<string[]> {
  const child = Bun.spawn(command, { cwd: root, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  expect({ err, code: await child.exited }).toEqual({ err: '', code: 0 })
  return out.split('\n').slice(0, -1)
}

/** What bash would offer behind these words, the last of them half typed. */
const offered = (...words: string[]) =>
  linesOf([
    'bash',
    '--norc',
    '-c',
    'source "$1"; shift; COMP_WORDS=(millrace "$@"); COMP_CWORD=$#; _millrace 2>/dev/null\n' +
      '((${#COMPREPLY[@]})) && printf "%s\\n" "${COMPREPLY[@]}"; true',
    'bash',
    join(dir, 'bash'),
    ...words,
  ])

describe('what a command takes', () => {
  test('is known of every command', () => {
    expect(described.map(({ name }) => name)).toEqual(commands.map(({ name }) => name))
  })

  test('comes from its options, and what they are about from its help', () => {
    const help = `
  --min N, --max N       at the least and at the most
  --from earliest|latest where to begin
  --from earliest|late   a later line counts for nothing
  --in FILE what to read
  --kind NAME            which
  --quiet                says nothing`
    const options: Answer['options'] = {
      min: { type: 'string' },
      max: { type: 'string' },
      from: { type: 'string' },
      in: { type: 'string', multiple: true },
      kind: { type: 'string', choices: ['a', 'b'] },
      quiet: { type: 'boolean' },
      untold: { type: 'boolean' },
    }
    const positionals = ['up|down', 'jobs/file.ts', 'name']
    const { flags, places, everywhere } = describedOf(
      { name: 'x', about: '' },
      { help, options, positionals },
    )
    const value = { kind: 'value' }
    const about = 'at the least and at the most'
    expect(flags).toMatchObject([
      { name: 'min', value, about },
      { name: 'max', value, about },
      { name: 'from', value: { kind: 'words', words: ['earliest', 'latest'] } },
      { name: 'in', value: { kind: 'files' }, multiple: true },
      { name: 'kind', value: { kind: 'words', words: ['a', 'b'] }, about: 'which' },
      { name: 'quiet', value: null, about: 'says nothing', multiple: false },
      { name: 'untold', value: null, about: '' },
      { name: 'help' },
    ])
    expect(places).toMatchObject([{ words: ['up', 'down'] }, { kind: 'files' }, value])
    expect(everywhere).toBeNull()
  })

  test('arguments that are names stand in any place', () => {
    const { places, everywhere } = describedOf(
      { name: 'x', about: '' },
      { help: '', options: {}, positionals: ['day', 'day-real'] },
    )
    expect({ places, everywhere }).toEqual({
      places: [],
      everywhere: { kind: 'words', words: ['day', 'day-real'] },
    })
  })

  test('is told in its help, flag by flag', () => {
    const untold = described.flatMap(({ name, flags }) =>
      flags.filter(({ about }) => about === '').map((flag) => `${name} --${flag.name}`),
    )
    expect(untold).toEqual([])
  })
})

describe('bash', () => {
  test('completes commands', async () => {
    expect(await offered('su')).toEqual(['supervisor'])
    expect(await offered('')).toEqual([...commands.map(({ name }) => name), '--help', '--version'])
  })

  test('completes flags, and what they take', async () => {
    expect(await offered('why', '--l')).toEqual(['--last'])
    expect(await offered('supervisor', '--from', '')).toEqual(['earliest', 'latest'])
    expect(await offered('supervisor', '--from', '=', 'ear')).toEqual(['earliest'])
    expect(await offered('supervisor', '--from', '=')).toEqual(['earliest', 'latest'])
    // A number is nobody's to guess.
    expect(await offered('supervisor', '--min', '')).toEqual([])
  })

  test('completes arguments by their place, values of flags aside', async () => {
    expect(await offered('rejects', 'r')).toEqual(['replay'])
    expect(await offered('rejects', 'list', '--limit', '3', 'jobs/stu')).toEqual([
      'jobs/students.ts',
    ])
    expect(await offered('rejects', '--limit', '=', '3', 'r')).toEqual(['replay'])
    expect(await offered('rejects', 'list', 'jobs/students.ts', '')).toEqual([])
    expect(await offered('faults', 'F01', 'F01b')).toEqual(['F01b'])
  })

  test('knows nothing of a command that there is not', async () => {
    expect(await offered('nothing', '')).toEqual([])
  })
})

/** Installed on few machines; what they can't check here is checked where they are. */
describe.skipIf(!Bun.which('zsh'))('zsh', () => {
  test('completes commands, flags, what they take, and arguments', async () => {
    const typed = ['millrace sup', 'millrace why --l', 'millrace supervisor --from e']
    const more = ['millrace rejects r', 'millrace faults F01 F01b', 'millrace why jobs/stu']
    const script = [join(import.meta.dir, 'complete.zsh'), join(dir, 'zsh')]
    expect(await linesOf(['zsh', '-f', ...script, ...typed, ...more])).toEqual([
      'millrace supervisor',
      'millrace why --last',
      'millrace supervisor --from earliest',
      'millrace rejects replay',
      'millrace faults F01 F01b',
      'millrace why jobs/students.ts',
    ])
  })
})

/** What fish would offer behind a line. */
const fishOffers = (line: string) =>
  linesOf(['fish', '-N', '-c', `source ${join(dir, 'fish')}; complete -C '${line}'`])

describe.skipIf(!Bun.which('fish'))('fish', () => {
  test('completes commands, flags, what they take, and arguments', async () => {
    expect(await fishOffers('millrace sup')).toEqual([expect.stringMatching(/^supervisor\t/)])
    expect(await fishOffers('millrace why --l')).toEqual([expect.stringMatching(/^--last\t/)])
    expect(await fishOffers('millrace supervisor --from e')).toEqual([
      expect.stringMatching(/^earliest\b/),
    ])
    expect(await fishOffers('millrace why jobs/stu')).toEqual(['jobs/students.ts'])
  })
})
