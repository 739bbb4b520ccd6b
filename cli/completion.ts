/** `millrace completion bash|zsh|fish`: prints the script that completes `millrace` in a shell. */
import { runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { describeAll } from './flags.ts'
import { bashScript } from './shells/bash.ts'
import { fishScript } from './shells/fish.ts'
import { zshScript } from './shells/zsh.ts'

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const
const names = Object.keys(scripts) as (keyof typeof scripts)[]

const command = {
  help: `
Usage: millrace completion ${names.join('|')}

Prints a script that completes millrace's commands, their flags and job files. Keep it where the shell
looks:

  bash   millrace completion bash > ~/.local/share/bash-completion/completions/millrace
         or, for one session: source <(millrace completion bash)
  zsh    millrace completion zsh > "\${fpath[1]}/_millrace"
  fish   millrace completion fish > ~/.config/fish/completions/millrace.fish

  --help   this text

Exit code: 0; 2 for a shell that is not one of these.`,
  options: {},
  positionals: [names.join('|')],
} as const

await runMain('completion', async () => {
  const { positionals } = parseFlags({ ...command, positionals: [...command.positionals] })
  const [given] = positionals
  const shell = names.find((name) => name === given)
  if (!shell) {
    const what = given === undefined ? 'say which shell' : `no shell ${JSON.stringify(given)}`
    throw new UsageError(`${what}: ${names.join(', ')}`)
  }
  process.stdout.write(scripts[shell](await describeAll()))
  return 0
})
