/**
 * What scenarios of servers and networks have in common: how soon work goes on after a fault, and
 * that no record is blamed for it.
 */
import { until } from '../until.ts'
import type { World } from '../world.ts'

/** Times how long it takes from now until records are committed again. */
export async function goesOn(world: World, withinMs: number, after: string): Promise<void> {
  let before: number | null = null
  await world.recovers(`committing again after ${after}`, withinMs, async () => {
    const committed = await world.committed()
    before ??= committed
    return committed > before
  })
}

/** Of a producer's good records none may be rejected or late, whatever happens to the servers. */
export async function nobodyBlamed(world: World): Promise<void> {
  await world.quiet()
  const { totals } = await world.pipeline.drained({ timeoutMs: 120_000 })
  const { rejected, late } = totals
  if (rejected + late > 0) throw new Error(`${rejected} records rejected and ${late} late`)
}

/** The status page says that the job can't do its work, and why. */
export async function degraded(world: World, reason: RegExp): Promise<void> {
  await until(
    'the job to be degraded',
    async () => {
      const status = await world.pipeline.status()
      if (status.state === 'degraded' && reason.test(status.reason ?? '')) return true
      throw new Error(`${status.state}: ${status.reason}`)
    },
    { timeoutMs: 45_000 },
  )
}
