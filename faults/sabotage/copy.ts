/**
 * A copy of the project with a bug in it: sources are copied, packages linked, and the edits made.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { home } from '../../services/jars.ts'
import type { Bug, Edit } from './bugs.ts'

const root = resolve(import.meta.dir, '..', '..')

const SOURCES = [
  'actors',
  'doctor',
  'supervisor',
  'web',
  'verify',
  'cli',
  'services',
  'faults',
  'jobs',
  'bench',
  'package.json',
  'tsconfig.json',
  'bunfig.toml',
]

/** Answers with the copy's folder. @throws where an edit does not fit the source any more */
export function sabotagedCopy(bug: Bug): string {
  const copy = join(home, 'sabotage', bug.name)
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  for (const name of SOURCES) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  symlinkSync(home, join(copy, '.millrace'))
  for (const edit of bug.edits) apply(copy, bug, edit)
  return copy
}

function apply(copy: string, bug: Bug, { file, find, put }: Edit): void {
  const path = join(copy, file)
  const parts = readFileSync(path, 'utf8').split(find)
  if (parts.length !== 2) {
    const times = parts.length - 1
    throw new Error(
      `bug ${bug.name}: ${file} holds ${JSON.stringify(find)} ${times} times, not once`,
    )
  }
  writeFileSync(path, parts.join(put))
}
