/** `bun run reference`: writes docs/reference.md. */
import { writeFileSync } from 'node:fs'
import { runMain } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { referenceFile, referencePage } from './page.ts'

const help = `
Usage: bun run reference

Writes docs/reference.md from the exported declarations of the job language and their comments.`

await runMain('reference', async () => {
  parseFlags({ help, options: {} })
  writeFileSync(referenceFile, referencePage())
  return 0
})
