/** Completion for fish: one line a command, a flag, an argument. Pure. */
import type { Described, Expected, Flag } from '../flags.ts'

export function fishScript(commands: readonly Described[]): string {
  const first = commands.map(
    ({ name, about }) =>
      `complete -c millrace -n __fish_use_subcommand -a ${name} -d ${quoted(about)}`,
  )
  return `# Completion of millrace for fish.
complete -c millrace -f
${[...first, ...commands.flatMap(linesOf)].join('\n')}
`
}

function linesOf(command: Described): string[] {
  const when = `complete -c millrace -n '__fish_seen_subcommand_from ${command.name}'`
  const wanted = command.everywhere ? [command.everywhere] : command.places
  return [
    ...command.flags.map((flag) => `${when} ${flagOf(flag)}`),
    ...wanted.flatMap((place) => {
      const asked = argumentOf(place)
      return asked === '' ? [] : [`${when} ${asked}`]
    }),
  ]
}

function flagOf({ name, value, about }: Flag): string {
  const told = about === '' ? '' : ` -d ${quoted(about)}`
  if (!value) return `-l ${name}${told}`
  return `-l ${name} -r ${argumentOf(value) || '-f'}${told}`
}

function argumentOf(expected: Expected): string {
  switch (expected.kind) {
    case 'words':
      return `-f -a '${expected.words.join(' ')}'`
    case 'files':
      return '-F'
    case 'value':
      return ''
    default:
      return expected satisfies never
  }
}

const quoted = (text: string) => `'${text.replace(/[\\']/g, String.raw`\$&`)}'`
