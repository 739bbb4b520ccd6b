/**
 * Faults of our own processes: killed, stopped, too many of them.
 */
import type { Fault } from '../fault.ts'
import { killQuietly } from '../pipeline.ts'

export const processFaults: Fault[] = [
  {
    id: 'F02',
    title: 'kill -9 of an executor before its commit',
    holds: 'another commits its entries within 2 s',
    smoke: true,
    setting: { spinUs: 100, backlog: 30_000 },
    async happens(world) {
      const { pipeline } = world
      const [victim] = await pipeline.alive('executor')
      if (!victim) throw new Error('no executor is at work')
      killQuietly(victim.pid, 'SIGKILL')
      const held = async () => {
        const { orphaned, actors } = await pipeline.snapshot()
        return orphaned === 0 && actors.some(({ id, alive }) => id === victim.id && !alive)
      }
      await world.recovers('its entries in other hands', 2_000, held)
      await world.commits()
    },
  },
]
