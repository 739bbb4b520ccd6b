/**
 * The TypeScript of docs/jobs.md as files that can be loaded: each block under the name that its first line
 * gives it, or under its number.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const root = resolve(import.meta.dir, '../..')

export interface Block {
  /** Such as `orders.ts`. */
  name: string
  source: string
}

const text = readFileSync(join(root, 'docs/jobs.md'), 'utf8')

export const blocks: readonly Block[] = Array.from(
  text.matchAll(/^```ts\n([^]*?)^```$/gm),
  ([, source], i) => ({ name: nameOf(source!, i), source: source! }),
)

export const isTest = ({ source }: Block): boolean => source.includes("from 'bun:test'")
export const isJob = ({ source }: Block): boolean => source.includes('export default defineJob(')

function nameOf(source: string, i: number): string {
  const named = /^\/\/ jobs\/(\S+\.ts)\n/.exec(source)?.[1]
  return named ?? (source.includes("from 'bun:test'") ? `${i}.test.ts` : `${i}.ts`)
}

/** A new folder with all of them, within the tree, where `millrace` and valibot are found. */
export function writeBlocks(): string {
  mkdirSync(join(root, '.millrace'), { recursive: true })
  const folder = mkdtempSync(join(root, '.millrace/docs-'))
  for (const { name, source } of blocks) writeFileSync(join(folder, name), source)
  const include = ['*.ts', join(root, 'actors/*.d.ts')]
  const config = { extends: join(root, 'tsconfig.json'), include }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  return folder
}
