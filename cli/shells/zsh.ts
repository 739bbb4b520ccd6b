/** Completion for zsh, by its own _arguments. Pure. */
import type { Described, Expected, Flag } from '../flags.ts'

export function zshScript(commands: readonly Described[]): string {
  return `#compdef millrace
# Completion of millrace for zsh.
_millrace() {
  if ((CURRENT == 2)); then
    local -a commands=(
${commands.map(({ name, about }) => `      ${quoted(`${name}:${about}`)}`).join('\n')}
    )
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${commands.map(caseOf).join('\n')}
  esac
}
if [[ $funcstack[1] == _millrace ]]; then _millrace "$@"; else compdef _millrace millrace; fi
`
}

function caseOf({ name, flags, places, everywhere }: Described): string {
  const specs = [
    ...flags.map(flagSpec),
    ...places.map((place, i) => `${i + 1}::argument:${actionOf(place)}`),
    ...(everywhere ? [`*::argument:${actionOf(everywhere)}`] : []),
  ]
  return `    ${name}) _arguments ${specs.map(quoted).join(' ')} ;;`
}

function flagSpec({ name, value, about, multiple }: Flag): string {
  const again = multiple ? '*' : ''
  const text = about.replace(/[[\]:\\]/g, String.raw`\$&`)
  if (!value) return `${again}--${name}[${text}]`
  return `${again}--${name}=[${text}]:value:${actionOf(value)}`
}

function actionOf(expected: Expected): string {
  switch (expected.kind) {
    case 'words':
      return `(${expected.words.join(' ')})`
    case 'files':
      return '_files'
    case 'value':
      return ' '
    default:
      return expected satisfies never
  }
}

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`
