/**
 * `bun deploy/sbom.ts [FILE]`: the bill of materials of what the image installs (bill.ts). The base image's own
 * packages are not in it; a scanner of images tells those.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runMain } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { billOf } from './bill.ts'

const HELP = `
Usage: bun deploy/sbom.ts [FILE]

Writes the CycloneDX bill of materials of a production install to FILE, or prints it.
`

const root = join(import.meta.dir, '..')

await runMain('sbom', async () => {
  const { positionals } = parseFlags({ help: HELP, options: {}, positionals: ['FILE'] })
  const [lock, manifest] = ['bun.lock', 'package.json'].map((name) =>
    readFileSync(join(root, name), 'utf8'),
  )
  const text = billOf(lock!, manifest!)
  const [file] = positionals
  if (file === undefined) process.stdout.write(text)
  else await Bun.write(file, text)
  return 0
})
