/**
 * Four charts over one time axis: what waits, who works, how fast, how late. Decisions are marks on the
 * lines; the tip at the cursor has the numbers and the sentence of the decision beside it. Executors are
 * steps, because between two looks there is no half of one.
 */
import uPlot from '/uplot.js'
import * as format from '/format.js'
import { part } from '/rows.js'
import { createTip } from '/tip.js'

/** How near the cursor a decision is told of, px. */
const NEAR_PX = 9

const DRAW_MS = 1_000

const compact = new Intl.NumberFormat('en-US', { notation: 'compact' })
const times = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' })
const seconds = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })

/** Columns of the data: see series.js. */
const charts = [
  {
    title: 'Waiting',
    unit: 'records',
    lines: [
      { column: 'backlog', name: 'backlog', color: '--backlog', fill: true, show: format.number },
      { column: 'kafkaLag', name: 'Kafka lag', color: '--lag', show: format.number },
    ],
    range: (_, __, most) => [0, Math.max(10, (most ?? 0) * 1.1)],
  },
  {
    title: 'Executors',
    unit: 'at work',
    marks: true,
    lines: [
      {
        column: 'executors',
        name: 'at work',
        color: '--executors',
        fill: true,
        stepped: true,
        show: format.number,
      },
      {
        column: 'target',
        name: 'wanted',
        color: '--calm',
        dash: [4, 4],
        stepped: true,
        show: format.number,
      },
    ],
    range: (u) => [
      0,
      Math.max(1, ...u.data.slice(1).flatMap((column) => column.map(Number)), u.most ?? 4) + 0.35,
    ],
    increments: [1, 2, 5, 10, 20],
  },
  {
    title: 'Records',
    unit: 'a second',
    lines: [
      { column: 'in', name: 'arrived', color: '--lag', show: format.rate },
      { column: 'out', name: 'committed', color: '--executors', fill: true, show: format.rate },
    ],
    range: (_, __, most) => [0, Math.max(10, (most ?? 0) * 1.1)],
  },
  {
    title: 'Delay',
    unit: 'to the commit, logarithmic',
    log: true,
    lines: [
      { column: 'p50', name: 'median', color: '--executors', show: format.duration },
      { column: 'p99', name: 'p99', color: '--backlog', show: format.duration },
      {
        column: 'eventP50',
        name: 'event median',
        color: '--lag',
        dash: [5, 4],
        show: format.duration,
      },
      {
        column: 'eventP99',
        name: 'event p99',
        color: '--bad',
        dash: [2, 4],
        show: format.duration,
      },
    ],
    range: (_, least, most) => [
      Math.max(0.5, (least ?? 1) / 1.5),
      Math.max(100, (most ?? 1) * 1.5),
    ],
  },
]

/** `decisionsOf()`: those that may be marked, oldest first. `now()`: the server's time, ms. */
export function createCharts(parent, { decisionsOf, now }) {
  const tip = createTip(parent)
  let plots = []
  let columns = null
  let executorsMax = 4
  let drawing = null
  let drawnAt = -Infinity

  const places = charts.map((chart) => figure(parent, chart))
  const build = () => {
    for (const { plot } of plots) plot.destroy()
    plots = charts.map((chart, index) => {
      const { element } = places[index]
      const plot = new uPlot(options(chart, element, { decisionsOf, tip, now }), [[]], element)
      return { chart, plot }
    })
    draw()
  }
  const draw = () => {
    if (!columns || document.hidden) return
    for (const [index, { chart, plot }] of plots.entries()) {
      Object.assign(plot, { most: executorsMax, from: columns.from, to: columns.to })
      plot.setData([columns.at, ...chart.lines.map(({ column }) => columns[column])])
      places[index].element.setAttribute('aria-label', summary(chart, columns))
      places[index].element.dataset.points = String(columns.at.length)
    }
  }

  build()
  // The colours are the theme's, which uPlot can't follow by itself.
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', build)
  addEventListener('themechange', build)
  document.addEventListener('visibilitychange', draw)
  new ResizeObserver(() => {
    for (const [index, { plot }] of plots.entries()) {
      const { clientWidth, clientHeight } = places[index].element
      plot.setSize({ width: clientWidth, height: clientHeight })
    }
  }).observe(parent)

  return {
    /** Drawn in a frame of its own, at most once a second: between two there is no new point. */
    show(given, max) {
      columns = given
      executorsMax = max ?? executorsMax
      const wait = Math.max(0, drawnAt + DRAW_MS - performance.now())
      drawing ??= setTimeout(() => {
        drawing = null
        drawnAt = performance.now()
        requestAnimationFrame(draw)
      }, wait)
    },
  }
}

/** One chart's place: its title and keys above it. */
function figure(parent, { title, unit, lines }) {
  const element = part('div', undefined, 'chart')
  element.tabIndex = 0
  element.setAttribute('role', 'img')
  const caption = part('figcaption')
  caption.append(part('strong', title), part('span', unit, 'muted'))
  const keys = part('span', undefined, 'keys')
  for (const { name, color, dash } of lines) {
    const key = part('span', name, `key ${color.slice(2)}${dash ? ' dashed' : ''}`)
    keys.append(key)
  }
  caption.append(keys)
  const place = part('figure')
  place.append(caption, element)
  parent.append(place)
  return { element }
}

/** What a screen reader says of a chart: its newest numbers. */
function summary({ title, lines }, columns) {
  const last = columns.at.length - 1
  const texts = lines.map(({ name, column, show }) => `${name} ${show(columns[column][last])}`)
  return `${title} over time, now: ${texts.join(', ')}`
}

function options(chart, element, { decisionsOf, tip, now }) {
  const { lines, range, log = false, increments } = chart
  return {
    width: element.clientWidth || 300,
    height: element.clientHeight || 150,
    padding: [6, 26, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: 'time' }, y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: (plot) => [plot.from ?? 0, plot.to ?? 1] },
      y: { range, distr: log ? 3 : 1 },
    },
    axes: [timeAxis(), valueAxis(chart, increments)],
    series: [{}, ...lines.map(lineOf)],
    hooks: {
      draw: [(plot) => drawMarks(plot, decisionsOf(), chart.marks)],
      setCursor: [(plot) => pointAt(plot, chart, element, { decisionsOf, tip, now })],
      ready: [(plot) => byKeys(plot, element, tip)],
    },
  }
}

function lineOf({ color, fill = false, stepped = false, dash }) {
  const stroke = colorOf(color)
  return {
    stroke,
    width: dash ? 1.5 : 2,
    dash,
    points: { show: false },
    ...(fill && { fill: withAlpha(stroke, 0.13) }),
    ...(stepped && { paths: uPlot.paths.stepped({ align: 1 }) }),
  }
}

const axis = () => ({
  stroke: colorOf('--muted'),
  font: '11px system-ui, sans-serif',
  grid: { stroke: colorOf('--line'), width: 1 },
  ticks: { show: false },
})

const timeAxis = () => ({
  ...axis(),
  size: 24,
  space: 70,
  values: (plot, ticks) => {
    const { min, max } = plot.scales.x
    const by = max - min < 600 ? seconds : times
    return ticks.map((at) => by.format(at * 1_000))
  },
})

function valueAxis({ log = false }, increments) {
  const steps = [1, 2, 5].flatMap((n) => powers(n)).sort((a, b) => a - b)
  return {
    ...axis(),
    size: 50,
    space: 24,
    ...(log ? { splits: powersBetween } : { incrs: increments ?? steps }),
    // A logarithmic axis has null for those that it has no room for.
    values: (_, ticks) =>
      ticks.map((tick) => (tick === null ? '' : log ? durationTick(tick) : compact.format(tick))),
  }
}

/** A line for each power of ten: uPlot's own nine between them would be a grey field. */
function powersBetween(_, __, least, most) {
  const from = Math.ceil(Math.log10(least))
  const to = Math.floor(Math.log10(most))
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => 10 ** (from + index))
}

const durationTick = (ms) => (ms < 1_000 ? `${ms} ms` : `${compact.format(ms / 1_000)} s`)

/** Lines where the fleet was changed; on the chart of executors with a triangle on top. */
function drawMarks(plot, decisions, withTriangles) {
  const { ctx } = plot
  const { left, top, height, width } = plot.bbox
  ctx.save()
  ctx.lineWidth = devicePixelRatio
  for (const { at, from, to } of decisions) {
    const x = plot.valToPos(Date.parse(at) / 1_000, 'x', true)
    if (!(x >= left && x <= left + width)) continue
    const color = colorOf(to > from ? '--good' : to < from ? '--warn' : '--muted')
    ctx.strokeStyle = withAlpha(color, 0.55)
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio])
    ctx.beginPath()
    ctx.moveTo(x, top)
    ctx.lineTo(x, top + height)
    ctx.stroke()
    if (withTriangles && to !== from) triangle(ctx, x, top, to > from, color)
  }
  ctx.restore()
}

function triangle(ctx, x, top, isUp, color) {
  const size = 5 * devicePixelRatio
  ctx.fillStyle = color
  ctx.beginPath()
  ctx.moveTo(x - size, top + (isUp ? 1.6 * size : 0))
  ctx.lineTo(x + size, top + (isUp ? 1.6 * size : 0))
  ctx.lineTo(x, top + (isUp ? 0 : 1.6 * size))
  ctx.fill()
}

/** Charts share the cursor; the one that it is over has the tip. */
function pointAt(plot, chart, element, { decisionsOf, tip, now }) {
  const { idx, left } = plot.cursor
  if (!plot.byKeys && !element.matches(':hover')) return
  if (idx === null || idx === undefined || left < 0) return tip.hide(element)
  const at = plot.data[0][idx] * 1_000
  const rows = chart.lines.map(({ name, color, show }, index) => ({
    name,
    color,
    text: show(plot.data[index + 1][idx]),
  }))
  const near = decisionsOf().filter((decision) => {
    const x = plot.valToPos(Date.parse(decision.at) / 1_000, 'x')
    return Math.abs(x - left) <= NEAR_PX
  })
  tip.show(element, { at, ago: now() - at, rows, decisions: near.slice(-3), left })
}

/** Left and right move the cursor as the mouse does. */
function byKeys(plot, element, tip) {
  element.onkeydown = (keys) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[keys.key]
    if (!step) return
    keys.preventDefault()
    const last = plot.data[0].length - 1
    const from = plot.cursor.idx ?? last + 1
    const index = Math.min(last, Math.max(0, from + step))
    if (index < 0) return
    plot.byKeys = true
    plot.setCursor({ left: plot.valToPos(plot.data[0][index], 'x'), top: 10 })
    plot.byKeys = false
  }
  element.onblur = () => tip.hide(element)
  element.onmouseleave = () => tip.hide(element)
}

/** What a custom property comes to in the theme that is shown, as rgb(…). */
function colorOf(name) {
  const probe = document.getElementById('probe') ?? document.body.appendChild(part('span'))
  probe.id = 'probe'
  probe.hidden = true
  probe.style.color = `var(${name})`
  return getComputedStyle(probe).color
}

const withAlpha = (color, alpha) => color.replace(/^rgb\(([^)]*)\)$/, `rgba($1, ${alpha})`)

const powers = (n) => Array.from({ length: 9 }, (_, exponent) => n * 10 ** exponent)
