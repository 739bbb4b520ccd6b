/**
 * How Bun keeps a process's memory, for whoever does not know better: by the environment, which it reads
 * before it runs any of our code.
 */

/** What a supervisor is to have itself: package.json starts it with that. */
export const supervisorRuntime = {
  /**
   * What has lived for a while and is garbage then, such as what was in hand when the young were collected,
   * is collected when it is two fifths of what lives. JavaScriptCore lets it become three times that which
   * lives where a machine has 16 GiB or more, which takes an hour at a trickle, and looks like a leak.
   */
  BUN_JSC_heapGrowthFunctionThresholdInMB: '1048576',
  BUN_JSC_minEdenToOldGenerationRatio: '0.42',
  /**
   * A thread looks for free pages among those in use whenever the main one waits, up to ten times a
   * second: a quarter of what an idle process costs. They can wait for ten seconds.
   */
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: '10000',
} as const

/** What it gives to its children; the image has it for whatever runs there. */
export const runtime = {
  /**
   * Garbage is collected with one thread: there is little of it, and to wait for others to be scheduled, on
   * cores that are busy, takes longer than to do it. Halves the median pause, which is what the slowest of
   * a hundred results waits for.
   */
  BUN_JSC_numberOfGCMarkers: '1',
  /**
   * What is freed goes back to the system after half a second: payloads come and go many times in that,
   * and would each be paged in anew.
   */
  MIMALLOC_PURGE_DELAY: '500',
  ...supervisorRuntime,
} as const
