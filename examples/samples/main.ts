/** `bun examples/samples/main.ts`: writes the samples again. */
import { writeFileSync } from 'node:fs'
import { exampleNames, sampleFileOf, samples } from './all.ts'
import { linesOf } from './sample.ts'

for (const name of exampleNames) {
  const lines = linesOf(samples[name])
  writeFileSync(sampleFileOf(name), lines.map((line) => `${line}\n`).join(''))
  process.stdout.write(`${name}: ${lines.length} records\n`)
}
