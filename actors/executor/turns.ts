/** Takes turns: of those that ask, one works at a time, in the order in which they asked. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }
}

/** At once where there is nobody to take turns with. */
export const inTurn = <T>(turns: Turns | null | undefined, work: () => Promise<T>): Promise<T> =>
  turns ? turns.take(work) : work()
