/**
 * Something that is done to a pipeline's surroundings, and undone. Scenarios are made of these, and
 * so is a random run, which overlaps them: `heal` must be harmless where nothing was done.
 */
import type { World } from '../world.ts'

export interface Action {
  name: string
  inject(world: World): Promise<void>
  heal(world: World): Promise<void>
}
