/**
 * Lines over a grid, as SVG text: readable on light and on dark ground, also in an <img>. Pure.
 */
export interface Chart {
  title: string
  x: string
  y: string
  logX: boolean
  /** By the first line's span where it is absent. */
  logY?: boolean
  /** Of a line with very many points: what is named on x in place of each of them; there are no dots. */
  ticks?: readonly number[]
  lines: { name: string; points: { x: number; y: number }[] }[]
}

const size = { width: 720, height: 420 }
const margin = { left: 64, right: 24, top: 72, bottom: 56 }
/** From this ratio of the greatest to the least value of the first line on, y is logarithmic. */
const LOG_Y_FROM = 10
/** Tones that can be told apart on white and on black. */
const colours = ['#8b949e', '#4493f8', '#db6d28', '#2da44e', '#a371f7', '#bf8700', '#e85aad']
const LEGEND_STEP = 104

const STYLE = [
  'text { font: 12px system-ui, sans-serif; fill: #768390 }',
  '.title { font-size: 15px; font-weight: 600 }',
  '.grid { stroke: #8b949e; stroke-opacity: 0.3 }',
  '.line { fill: none; stroke-width: 1.5 }',
  '.line.first { stroke-width: 3 }',
].join('\n')

/** The first line is drawn thick. A point without a finite x and y is left out. */
export function chartSvg(chart: Chart): string {
  const lines = chart.lines.map(({ name, points }) => ({
    name,
    points: points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)),
  }))
  const xs = distinct(lines.flatMap(({ points }) => points.map(({ x }) => x)))
  const ys = lines.flatMap(({ points }) => points.map(({ y }) => y))
  const first = lines[0]?.points.map(({ y }) => y) ?? []
  const logY = chart.logY ?? Math.max(...first) / Math.min(...first) >= LOG_Y_FROM
  const yTicks = logY ? logTicks(ys) : linearTicks(Math.max(...ys, 0))
  const across = scale(xs, chart.logX, margin.left, size.width - margin.right)
  const up = scale(yTicks, logY, size.height - margin.bottom, margin.top)
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escaped(chart.title)}">`,
    `<style>${STYLE}</style>`,
    text(margin.left, 24, chart.title, 'start', 'title'),
    ...lines.map(({ name }, index) => legend(name, index)),
    ...yTicks.flatMap((y) => yTick(y, up(y))),
    ...(chart.ticks ?? xs).flatMap((x) => xTick(x, across(x))),
    text((margin.left + size.width - margin.right) / 2, size.height - 14, chart.x, 'middle'),
    text(margin.left, margin.top - 12, chart.y, 'end'),
    ...lines.map(({ points }, index) => {
      const places = points.map(({ x, y }) => ({
        x: across(x),
        y: up(logY ? Math.max(y, yTicks[0]!) : y),
      }))
      return drawn(places, index, chart.ticks === undefined)
    }),
    '</svg>',
  ]
  return `${parts.join('\n')}\n`
}

function legend(name: string, index: number): string {
  const x = margin.left + index * LEGEND_STEP
  const colour = colourOf(index)
  return `<rect x="${x}" y="36" width="12" height="4" fill="${colour}"/>${text(x + 18, 42, name, 'start')}`
}

function yTick(value: number, y: number): string[] {
  const right = size.width - margin.right
  return [
    `<line class="grid" x1="${margin.left}" x2="${right}" y1="${px(y)}" y2="${px(y)}"/>`,
    text(margin.left - 8, y + 4, short(value), 'end'),
  ]
}

function xTick(value: number, x: number): string[] {
  const bottom = size.height - margin.bottom
  return [
    `<line class="grid" x1="${px(x)}" x2="${px(x)}" y1="${margin.top}" y2="${bottom}"/>`,
    text(x, bottom + 18, short(value), 'middle'),
  ]
}

function drawn(places: { x: number; y: number }[], index: number, dotted: boolean): string {
  const path = places.map(({ x, y }) => `${px(x)},${px(y)}`).join(' ')
  const colour = colourOf(index)
  const kind = index === 0 ? 'line first' : 'line'
  const line = `<polyline class="${kind}" stroke="${colour}" points="${path}"/>`
  if (!dotted) return line
  const dots = places.map(({ x, y }) => `<circle cx="${px(x)}" cy="${px(y)}" r="3"/>`)
  return `${line}<g fill="${colour}">${dots.join('')}</g>`
}

function text(x: number, y: number, words: string, anchor: string, kind?: string): string {
  const named = kind === undefined ? '' : ` class="${kind}"`
  return `<text${named} x="${px(x)}" y="${px(y)}" text-anchor="${anchor}">${escaped(words)}</text>`
}

/** From the least and greatest of the values onto a span of pixels; a single one to its middle. */
function scale(values: number[], log: boolean, from: number, to: number) {
  const along = (value: number) => (log ? Math.log(value) : value)
  const low = along(Math.min(...values))
  const high = along(Math.max(...values))
  return (value: number): number =>
    high === low ? (from + to) / 2 : from + ((along(value) - low) / (high - low)) * (to - from)
}

/** From 0 to the greatest value and on to the next step: four to ten steps of 1, 2 or 5. */
export function linearTicks(greatest: number): number[] {
  if (!(greatest > 0)) return [0, 1]
  const power = 10 ** Math.floor(Math.log10(greatest / 5))
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => greatest / one <= 8)!
  return Array.from({ length: Math.ceil(greatest / step - 1e-9) + 1 }, (_, i) => i * step)
}

/** Powers of ten around the values; what is less than a hundred-thousandth of the greatest is at the bottom. */
export function logTicks(values: number[]): number[] {
  const greatest = Math.max(...values)
  const least = Math.max(Math.min(...values), greatest / 100_000)
  const low = Math.floor(Math.log10(least) + 1e-9)
  const high = Math.max(low + 1, Math.ceil(Math.log10(greatest) - 1e-9))
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
}

/** 1,500 is 1.5k; at most three digits. */
export function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`
  if (value >= 1e3) return `${Number((value / 1e3).toPrecision(3))}k`
  return String(Number(value.toPrecision(3)))
}

const distinct = (values: number[]): number[] => [...new Set(values)].toSorted((a, b) => a - b)

const colourOf = (index: number): string => colours[index % colours.length]!

const px = (value: number): string => String(Math.round(value * 10) / 10)

const escaped = (words: string): string =>
  words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
