/** Devices in three halls, each every few seconds; some of them write Fahrenheit and psi. */
import { happenings, minuteMs, type Sample } from './sample.ts'

interface Message {
  device: string
  hall: string
  at: number
  readings: { kind: string; value: number; unit: string }[]
}

const halls = ['casting', 'milling', 'paint']
const tenths = (value: number) => Math.round(value * 10) / 10

export const sensors: Sample<Message> = {
  make: (chance) =>
    happenings(chance, { count: 600, spanMs: 5 * minuteMs, delayMs: 4_000 }).map((at) => {
      const number = chance.whole(0, 11)
      const place = number % halls.length
      const warm = [180, 45, 24][place]! + chance.between(-6, 6)
      const temperature =
        number < 9
          ? { kind: 'temperature', value: tenths(warm), unit: 'C' }
          : { kind: 'temperature', value: tenths((warm * 9) / 5 + 32), unit: 'F' }
      const bar = 5 + place + chance.between(-0.4, 0.4)
      const pressure =
        number < 9
          ? { kind: 'pressure', value: tenths(bar), unit: 'bar' }
          : { kind: 'pressure', value: tenths(bar / 0.0689476), unit: 'psi' }
      return {
        device: `d${number}`,
        hall: halls[place]!,
        at,
        readings: chance.is(0.6) ? [temperature, pressure] : [temperature],
      }
    }),
  time: ({ at }) => at,
  at: (message, ms) => ({ ...message, at: ms }),
}
