/** The reference, from the sources as they are. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { contents, isTold, namesOf, type Section, type Source } from './contents.ts'
import { type Declaration, declarationsOf } from './declarations.ts'
import { pageOf } from './markdown.ts'

const root = resolve(import.meta.dir, '..')
export const referenceFile = join(root, 'docs/reference.md')

/** @throws where the contents name an export that is not there any more */
export const referencePage = (): string => formatted(pageOf(contents.map(told)))

/** As `bun run format` would leave it; by this very Bun. */
function formatted(page: string): string {
  const biome = join(root, 'node_modules/.bin/biome')
  const command = [process.execPath, 'run', biome, 'format', `--stdin-file-path=${referenceFile}`]
  const { stdout, stderr, exitCode } = Bun.spawnSync(command, {
    cwd: root,
    stdin: Buffer.from(page),
  })
  if (exitCode !== 0) throw new Error(`the page can't be formatted: ${stderr.toString()}`)
  return stdout.toString()
}

function told({ title, about, files }: Section) {
  return { title, about, declarations: files.flatMap(declarationsIn) }
}

function declarationsIn(source: Source): Declaration[] {
  const declarations = declarationsOf(source.path, readFileSync(join(root, source.path), 'utf8'))
  const gone = namesOf(source).find((name) => !declarations.some((one) => one.name === name))
  if (gone !== undefined) throw new Error(`${source.path} exports no ${gone}`)
  return declarations.filter(({ name }) => isTold(source, name))
}
