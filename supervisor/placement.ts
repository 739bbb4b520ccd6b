/**
 * Which host has how many of the executors that were decided. Pure.
 *
 *   what each host has and offers, how many there are to be → here → a number for each → places.ts
 *
 * Guarantees: as many as wanted, as far as the hosts have places; never more on a host than it takes; what runs
 * stays where it is, but where a host without a free core has more executors than cores and another has a
 * core for one of them.
 */

export interface Room {
  /** The supervisor that runs executors there. */
  id: string
  /** Executors that it takes at the most. */
  limit: number
  cores: number
  /** Cores that idle now; null where that is not known. */
  idle: number | null
  /** Executors that it had when it said so; those that it has been given since take of the idle ones. */
  counted: number
  /** Further executors that its free memory has room for. */
  fits: number
  /** Executors that it has, or has been given. */
  has: number
}

/** An executor takes most of a core; with less than this left, it would take the rest from others. */
const CORE_LEAST = 0.75

/** Cores are told with so much noise: less than this makes no difference between two hosts. */
const NOISE = 0.25

/**
 * Host → executors. The first of two hosts that are equal is preferred. There may be `max` for a moment,
 * while one moves.
 */
export function placement(
  hosts: readonly Room[],
  target: number,
  max: number,
): Map<string, number> {
  const counts = new Map(hosts.map(({ id, has, limit }) => [id, Math.min(has, limit)]))
  const sum = () => [...counts.values()].reduce((total, count) => total + count, 0)
  const add = ({ id }: Room, change: 1 | -1) => counts.set(id, counts.get(id)! + change)
  for (let left = sum() - target; left > 0; left--) add(fullest(hosts, counts), -1)
  for (let left = target - sum(); left > 0; left--) {
    // A job never stands still for want of memory: the first one is tried all the same.
    const host =
      roomiest(hosts, counts) ?? (sum() === 0 ? roomiest(hosts, counts, { careless: true }) : null)
    if (!host) break
    add(host, 1)
  }
  const move = relief(hosts, counts)
  if (move && sum() === target) {
    add(move.to, 1)
    // Started first where that may be; then there is one too many, and the fullest host loses it.
    if (sum() > max) add(move.from, -1)
  }
  return counts
}

type Counts = ReadonlyMap<string, number>

/** Cores that one more executor would find; what it was given and has not started yet takes its own. */
export function freeCores({ id, cores, idle, counted }: Room, counts: Counts): number {
  const count = counts.get(id)!
  const unstarted = Math.max(0, count - counted)
  const free = Math.min(cores - count, idle === null ? Infinity : idle - unstarted)
  return Math.round(free / NOISE) * NOISE
}

/** Where one more finds the most cores, and of equals has the fewest beside it; null where all are full. */
function roomiest(hosts: readonly Room[], counts: Counts, { careless = false } = {}): Room | null {
  const open = hosts.filter((host) => {
    const count = counts.get(host.id)!
    const fits = careless || count < Math.min(host.has, host.limit) + host.fits
    return count < host.limit && fits
  })
  return best(
    open,
    (a, b) => freeCores(b, counts) - freeCores(a, counts) || load(a, counts) - load(b, counts),
  )
}

/** Which has the most for its cores, of equals the one with the fewest to spare. */
function fullest(hosts: readonly Room[], counts: Counts): Room {
  const some = hosts.filter(({ id }) => counts.get(id)! > 0).toReversed()
  const idle = (host: Room) => host.idle ?? host.cores
  return best(some, (a, b) => load(b, counts) - load(a, counts) || idle(a) - idle(b))!
}

/** Executors on a host that has no core for each of them, while another has one left. */
function relief(hosts: readonly Room[], counts: Counts): { from: Room; to: Room } | null {
  const crowded = hosts.filter(
    ({ id, cores, idle }) => counts.get(id)! > cores && idle !== null && idle < CORE_LEAST,
  )
  const from = best(crowded, (a, b) => load(b, counts) - load(a, counts))
  const to = roomiest(hosts, counts)
  return from && to && from !== to && freeCores(to, counts) >= 1 ? { from, to } : null
}

const load = ({ id, cores }: Room, counts: Counts) => counts.get(id)! / cores

function best(hosts: readonly Room[], order: (a: Room, b: Room) => number): Room | null {
  return hosts.toSorted(order)[0] ?? null
}
