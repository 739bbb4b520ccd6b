/**
 * Work side by side: each lane takes the next item as soon as it has ended its last one, so that no
 * lane waits while there is something to begin.
 */

/** Results in the order of `items`, which is also the order in which they are begun. */
export async function inLanes<Lane, Item, Result>(
  lanes: readonly Lane[],
  items: readonly Item[],
  work: (item: Item, lane: Lane) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const waiting = [...items.entries()]
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [index, item] = next
        results[index] = await work(item, lane)
      }
    }),
  )
  return results
}

/** Those that take the longest come first: what is begun last should be short. */
export function longestFirst<Item>(
  items: readonly Item[],
  longest: readonly string[],
  nameOf: (item: Item) => string,
): Item[] {
  const place = (item: Item) => {
    const index = longest.indexOf(nameOf(item))
    return index < 0 ? longest.length : index
  }
  return items.toSorted((a, b) => place(a) - place(b))
}
