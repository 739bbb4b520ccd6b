/**
 * A sink that prints each row of a closed window as one line of JSON to standard output. For people and
 * pipes: a window that was printed when the process was killed is printed again.
 */
import { rowJson } from './rows.ts'
import { declared, type Sink, type SinkOptions } from './sink.ts'

export function consoleSink(options: SinkOptions = {}): Sink {
  return {
    ...declared('console', options),
    windowsMax: 1,
    address: () => 'standard output',
    open: () =>
      Promise.resolve({
        async write({ windows }) {
          for (const window of windows) {
            const lines = window.rows.map((row) => `${rowJson(window, row)}\n`)
            await Bun.write(Bun.stdout, lines.join(''))
          }
        },
        close: () => Promise.resolve(),
      }),
  }
}
