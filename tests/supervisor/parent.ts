/** A parent of two stand-ins that lives until it is killed: `bun parent.ts <job>`. */
import { join } from 'node:path'
import { systemClock } from '../../actors/clock.ts'
import { bunCommand, spawner } from '../../supervisor/child.ts'

const [job = ''] = process.argv.slice(2)
const standin = join(import.meta.dir, 'standin.ts')
const spawn = spawner({
  command: (_, id) => bunCommand(standin, ['good', job, '--id', id]),
  output: () => {},
  clock: systemClock,
})
const children = [spawn('executor'), spawn('executor')]
await Promise.all(children.map(({ exited }) => exited))
