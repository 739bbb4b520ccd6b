/**
 * Windows that are told more than once: while they are open, for the sinks that want to hear of them, and
 * when late records change what is closed already. Each telling is the window as a whole, as it then is,
 * with a number that rises by one from 0; the highest one counts. (revisions.lua tells them.) Pure.
 */

/** The part of a job that says so. */
export interface Revising {
  allowedLatenessMs: number
  updatesMs: number
}

/** Which telling of a window this is. */
export interface Revision {
  revision: number
  /** The window goes on: what closes it comes later. */
  isOpen: boolean
  /** Nothing can change the window any more. */
  isFinal: boolean
}

export const isRevised = ({ allowedLatenessMs = 0, updatesMs = 0 }: Partial<Revising>): boolean =>
  allowedLatenessMs > 0 || updatesMs > 0

/** The field of the hash `clock` by which a record is late: up to there windows take none any more. */
export const boundField = ({ allowedLatenessMs }: Revising): 'closedTo' | 'finalTo' =>
  allowedLatenessMs > 0 ? 'finalTo' : 'closedTo'

/** Of an entry of the closed stream; null where the job tells each window once. */
export function revisionOf(field: (name: string) => string | undefined): Revision | null {
  const revision = field('revision')
  if (revision === undefined) return null
  return {
    revision: Number(revision),
    isOpen: field('open') === '1',
    isFinal: field('final') === '1',
  }
}
