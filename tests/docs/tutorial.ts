/**
 * docs/tutorial.md as a list of steps: files to write, changes to them, and commands with what they print.
 * Other blocks (what is installed once) are for people only. Pure.
 */
export type Step =
  | { do: 'write'; file: string; text: string }
  | { do: 'change'; file: string; from: string; to: string }
  | { do: 'run'; command: string; expected: string[]; stays: boolean }

/** A block's first line names its file; `console` blocks hold `$ command`s, `console stays` one that goes on. */
export function stepsOf(text: string): Step[] {
  return Array.from(text.matchAll(/^```(\w+)(.*)\n([^]*?)^```$/gm)).flatMap(
    ([, kind, more, body]) => {
      if (kind === 'ts') return [writing(body!)]
      if (kind === 'diff') return [changing(body!)]
      return kind === 'console' ? running(body!, more!.trim() === 'stays') : []
    },
  )
}

function writing(body: string): Step {
  const [first, ...lines] = body.split('\n')
  return { do: 'write', file: fileOf(first!), text: lines.join('\n') }
}

function changing(body: string): Step {
  const [first, ...lines] = body.trimEnd().split('\n')
  const side = (left: string) =>
    lines
      .filter((line) => !line.startsWith(left))
      .map((line) => line.slice(1))
      .join('\n')
  return { do: 'change', file: fileOf(first!), from: side('+'), to: side('-') }
}

function fileOf(line: string): string {
  const file = /^ ?\/\/ (\S+\.ts)$/.exec(line)?.[1]
  if (!file) throw new Error(`a block must begin with its file, not ${JSON.stringify(line)}`)
  return file
}

function running(body: string, stays: boolean): Step[] {
  return body
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command, ...lines] = part.trimEnd().split('\n')
      const expected = lines.filter((line) => line.trim() !== '' && line.trim() !== '…')
      return { do: 'run', command: command!, expected, stays }
    })
}

/** The first line that is not there after those before it; null where all are. */
export function missing(expected: readonly string[], output: string): string | null {
  let rest = output
  for (const line of expected) {
    const found = patternOf(line).exec(rest)
    if (!found) return line
    rest = rest.slice(found.index + found[0].length)
  }
  return null
}

/** Numbers but 0, also those of times, may be others; `…` is anything, and blanks are as wide as they are. */
function patternOf(line: string): RegExp {
  const parts = line.trim().split('…')
  const patterns = parts.map((part) =>
    part
      .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      .replace(/\d+/g, (number) => (number === '0' ? '\\b0\\b' : '\\d+'))
      .replace(/\s+/g, '\\s+'),
  )
  return new RegExp(patterns.join('.*'))
}
