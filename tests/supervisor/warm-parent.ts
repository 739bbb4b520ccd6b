/** A parent of one warm executor that lives until it is killed: `bun warm-parent.ts`; says its pid. */
import { systemClock } from '../../actors/clock.ts'
import { spawner } from '../../supervisor/child.ts'
import { executorCommand } from './family.ts'

const spawn = spawner({
  command: (_, id, warm) => executorCommand(id, warm),
  output: () => {},
  clock: systemClock,
})
const child = spawn('executor', true)
process.stdout.write(`${child.pid}\n`)
await child.exited
