/**
 * Bounds of actors/config.ts that a world turns down, so that what takes millions of records in
 * earnest happens with some dozens: full groups, closing in steps, back-pressure, split entries.
 */
import { bounds } from '../../actors/config.ts'
import type { Chance } from './chance.ts'

type Bounds = { -readonly [Name in keyof typeof bounds]: number }

const settable = bounds as Bounds
const shipped: Bounds = { ...bounds }

/** Turns some bounds down, by chance; the shipped ones are back after `restoreKnobs`. */
export function turnKnobs(chance: Chance): void {
  restoreKnobs()
  settable.idleAfterMs = chance.pick([2_000, 3_500, 30_000])
  if (chance.is(0.5)) settable.inlineBytesMax = chance.pick([0, 200, 600])
  if (chance.is(0.5)) settable.entryBytes = chance.whole(200, 2_000)
  if (chance.is(0.4)) settable.entryRecordsMax = chance.whole(1, 6)
  if (chance.is(0.3)) settable.commitWorkMs = chance.whole(10, 50)
  if (chance.is(0.3)) settable.commitGroupsMax = chance.whole(2, 8)
  if (chance.is(0.3)) settable.commitEntriesMax = chance.whole(1, 4)
  if (chance.is(0.3)) settable.commitRejectsMax = chance.whole(1, 4)
  if (chance.is(0.3)) settable.readAheadEntriesMax = chance.whole(1, 4)
  if (chance.is(0.4)) settable.closeGroupsMax = chance.whole(1, 4)
  if (chance.is(0.2)) settable.groupsMax = chance.whole(2, 4)
  if (chance.is(0.2)) settable.streamRecordsMax = chance.whole(8, 30)
  if (chance.is(0.1)) settable.payloadExpiryMs = chance.whole(20, 200)
  if (chance.is(0.4)) settable.joinEntryBytes = chance.whole(1, 400)
  if (chance.is(0.4)) settable.joinHeldBytes = chance.whole(1, 1_000)
  if (chance.is(0.4)) settable.joinPageEntries = chance.whole(1, 3)
}

export function restoreKnobs(): void {
  Object.assign(settable, shipped)
}
