/**
 * Makes what compiled.ts describes: `bun supervisor/compile.ts FOLDER`, run by the supervisor. The folder
 * appears whole or not at all, whoever else makes it at the same time; those of versions that nobody made
 * for a week go.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '../actors/clock.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { compiledKinds } from './compiled.ts'

const OLD_MS = 7 * 24 * 3_600_000

void runMain('compile', async () => {
  const folder = process.argv[2]!
  const made = `${folder}.${process.pid}`
  try {
    for (const kind of compiledKinds) await compile(kind, made)
    sweep(dirname(folder))
    mkdirSync(dirname(folder), { recursive: true })
    renameSync(made, folder)
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
})

async function compile(kind: string, into: string): Promise<void> {
  const { success, logs } = await Bun.build({
    entrypoints: [join(import.meta.dir, '..', 'actors', kind, 'main.ts')],
    outdir: join(into, 'actors', kind),
    target: 'bun',
    format: 'cjs',
    bytecode: true,
    // Names stay, for whoever reads a stack.
    minify: { whitespace: true, syntax: true },
  })
  if (!success) throw new RefusalError(logs.map(({ message }) => message).join('; '))
}

function sweep(all: string): void {
  for (const name of readdirSync(all, { withFileTypes: true })) {
    const path = join(all, name.name)
    const age = systemClock.now() - statSync(path).mtimeMs
    if (age > OLD_MS) rmSync(path, { recursive: true, force: true })
  }
}
