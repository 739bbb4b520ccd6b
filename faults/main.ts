/** `bun run faults`: plays faults against a pipeline of real processes, and says what held. */
import { runMain, UsageError } from '../actors/errors.ts'
import { parseFlags } from '../actors/flags.ts'
import { startServices } from '../services/services.ts'
import { createProgress } from '../services/progress.ts'
import { faults } from './list.ts'
import { play } from './world.ts'

const command = {
  help: `
Usage: bun run faults [F01...]

Plays faults, all of them or those that are named, each against a pipeline of its own on private
servers, and checks afterwards that every record counted exactly once.

  --list    what there is
  --smoke   the selection that bun run check plays
  --help    this text`,
  options: { list: { type: 'boolean' }, smoke: { type: 'boolean' } },
} as const

await runMain('faults', async () => {
  const { values, positionals } = parseFlags({
    ...command,
    positionals: faults.map(({ id }) => id),
  })
  const unknown = positionals.find((name) => !faults.some(({ id }) => id === name))
  if (unknown !== undefined) throw new UsageError(`no fault ${JSON.stringify(unknown)}`)
  const chosen = faults
    .filter(({ id }) => positionals.length === 0 || positionals.includes(id))
    .filter(({ smoke }) => !values.smoke || smoke)
  if (values.list) {
    for (const { id, title } of chosen) process.stdout.write(`${id}  ${title}\n`)
    return 0
  }
  const services = await startServices({ log: createProgress() })
  let failed = 0
  try {
    for (const fault of chosen) {
      const outcome = await play(fault, { shared: () => Promise.resolve(services) })
      if (!outcome.ok) failed++
      process.stdout.write(`${JSON.stringify(outcome)}\n`)
    }
  } finally {
    await services.stop()
  }
  process.stdout.write(`${chosen.length - failed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
})
