/**
 * How Bun keeps a process's memory, for whoever does not know better: by the environment, which it reads
 * before it runs any of our code. A supervisor gives this to its children; for itself package.json and
 * the image have it.
 */
export const runtime = {
  /**
   * Garbage is collected with one thread: there is little of it, and to wait for others to be scheduled, on
   * cores that are busy, takes longer than to do it. Halves the median pause, which is what the slowest of
   * a hundred results waits for.
   */
  BUN_JSC_numberOfGCMarkers: '1',
  /**
   * What lives for long and is garbage then, such as what was in hand when the young were collected, is
   * collected once it is about two fifths of what lives. JavaScriptCore waits until it is twice as
   * much where a machine has 16 GiB and more, and for hours at a trickle: it looked like a leak.
   */
  BUN_JSC_heapGrowthFunctionThresholdInMB: '1048576',
  BUN_JSC_minEdenToOldGenerationRatio: '0.42',
  /**
   * What is freed goes back to the system after half a second: payloads come and go many times in that,
   * and would each be paged in anew.
   */
  MIMALLOC_PURGE_DELAY: '500',
  /**
   * A thread looks for free pages among those in use each time that the main one waits, ten times a
   * second: a quarter of what an idle process costs. They can wait.
   */
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: '10000',
} as const
