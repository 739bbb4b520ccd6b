/**
 * Completion for bash, 3.2 and newer. Pure.
 *
 * Readline takes words apart at `=`, so that `--from=ear` comes as three words; the script puts up
 * with both ways to write a value.
 */
import type { Described, Expected, Flag } from '../flags.ts'

export function bashScript(commands: readonly Described[]): string {
  return `# Completion of millrace for bash.
_millrace_words() { COMPREPLY=($(compgen -W "$1" -- "$word")); }
_millrace_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$word"))
}
_millrace() {
  local command=\${COMP_WORDS[1]} word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _millrace_words '${commands.map(({ name }) => name).join(' ')} --help --version'
    return
  fi
  if [[ $word == '=' ]]; then word=
  elif [[ $before == '=' ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  local flags='' valued=' ' places=() everywhere=''
  case $command in
${commands.map(dataOf).join('\n')}
    *) return ;;
  esac
  case "$command $before" in
${commands.flatMap(valuesOf).join('\n')}
  esac
  if [[ $valued == *" $before "* ]]; then return; fi
  if [[ $word == -* ]]; then
    _millrace_words "$flags"
    return
  fi
  local i place=0
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [[ $valued == *" \${COMP_WORDS[i]} "* ]]; then
      if [[ \${COMP_WORDS[i+1]} == '=' ]]; then ((i++)); fi
      ((i++))
    elif [[ \${COMP_WORDS[i]} != -* ]]; then ((place++))
    fi
  done
  local expected=\${everywhere:-\${places[place]}}
  case $expected in
    '') ;;
    @files) _millrace_files ;;
    *) _millrace_words "$expected" ;;
  esac
}
complete -F _millrace millrace
`
}

function dataOf({ name, flags, places, everywhere }: Described): string {
  const all = flags.map((flag) => `--${flag.name}`).join(' ')
  const valued = flags.filter(({ value }) => value).map((flag) => `--${flag.name} `)
  const kinds = places.map((place) => `'${listOf(place)}'`).join(' ')
  const every = everywhere ? `; everywhere='${listOf(everywhere)}'` : ''
  return `    ${name}) flags='${all}'; valued=' ${valued.join('')}'; places=(${kinds})${every} ;;`
}

/** What to do behind a flag whose values are known. */
function valuesOf({ name, flags }: Described): string[] {
  return flags.flatMap((flag: Flag) => {
    if (!flag.value || flag.value.kind === 'value') return []
    const place = `'${name} --${flag.name}'`
    return flag.value.kind === 'files'
      ? [`    ${place}) _millrace_files; return ;;`]
      : [`    ${place}) _millrace_words '${flag.value.words.join(' ')}'; return ;;`]
  })
}

function listOf(expected: Expected): string {
  switch (expected.kind) {
    case 'words':
      return expected.words.join(' ')
    case 'files':
      return '@files'
    case 'value':
      return ''
    default:
      return expected satisfies never
  }
}
