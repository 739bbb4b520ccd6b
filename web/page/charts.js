/**
 * What waits and who works, over time: points in, two charts that share their time axis. Executors are
 * steps, because between two looks there is no half of one.
 */
import uPlot from '/uplot.js'

const POINTS_MOST = 900
/** A hole of more than this was not watched, and is not drawn over. */
const GAP_MS = 5_000
/** Less than two minutes would make a second look like a trend. */
const SPAN_LEAST_S = 120

export function createCharts({ backlog, executors }) {
  let points = []
  let charts = []
  let executorsMax = 4

  const draw = () => {
    const data = series(points)
    charts[0]?.setData([data[0], data[1], data[2]])
    charts[1]?.setData([data[0], data[3]])
  }
  const build = () => {
    for (const chart of charts) chart.destroy()
    charts = [
      chart(backlog, { range: recordsRange, lines: [area('--backlog'), line('--lag')] }),
      chart(executors, {
        range: () => [0, executorsMax],
        lines: [stepped('--executors')],
        whole: true,
      }),
    ]
    draw()
  }

  build()
  // The colours are the theme's, which uPlot can't follow by itself.
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', build)
  new ResizeObserver(() => {
    charts[0].setSize({ width: backlog.clientWidth, height: backlog.clientHeight })
    charts[1].setSize({ width: executors.clientWidth, height: executors.clientHeight })
  }).observe(backlog)

  return {
    /** Replaces everything by the server's memory of the last minutes. */
    restart(history) {
      const newest = history.at(-1)?.[0] ?? 0
      const own = points.filter(([at]) => at > newest || at < (history[0]?.[0] ?? 0))
      points = [...own, ...history].sort((a, b) => a[0] - b[0]).slice(-POINTS_MOST)
      draw()
    },
    /** `kafkaLag` is null where it is not known, and drawn as a hole. */
    add(at, { backlog: records, kafkaLag, executors: count, max }) {
      executorsMax = Math.max(1, count, max ?? 0, ...points.map((point) => point[3]))
      if (points.length > 0 && at <= points.at(-1)[0]) return
      points.push([at, records, kafkaLag, count])
      if (points.length > POINTS_MOST) points.shift()
      draw()
    },
  }
}

/** Points as uPlot's columns, with a hole where nobody looked. */
function series(points) {
  const columns = [[], [], [], []]
  let last = null
  for (const [at, ...values] of points) {
    if (last !== null && at - last > GAP_MS) push(columns, (last + 1) / 1_000, null, null, null)
    push(columns, at / 1_000, ...values)
    last = at
  }
  return columns
}

function push(columns, ...values) {
  values.forEach((value, index) => columns[index].push(value))
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

const line = (name) => ({ stroke: color(name), width: 2, points: { show: false } })
const area = (name) => ({ ...line(name), fill: `${color(name)}22` })
const stepped = (name) => ({ ...area(name), paths: uPlot.paths.stepped({ align: 1 }) })

const compact = new Intl.NumberFormat('en-US', { notation: 'compact' })
const times = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })

function chart(element, { range, lines, whole = false }) {
  const axis = {
    stroke: color('--muted'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  }
  const timeAxis = {
    ...axis,
    size: 26,
    space: 90,
    values: (_, ticks) => ticks.map((at) => times.format(at * 1_000)),
  }
  const valueAxis = {
    ...axis,
    size: 48,
    space: 24,
    incrs: whole ? [1, 2, 5, 10, 20] : [1, 2, 5].flatMap((n) => powers(n)).sort((a, b) => a - b),
    values: (_, ticks) => ticks.map((value) => compact.format(value)),
  }
  const options = {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: 'time' }, y: false, points: { size: 6 } },
    scales: {
      x: { time: true, range: (_, from, to) => [Math.min(from, to - SPAN_LEAST_S), to] },
      y: { range },
    },
    axes: [timeAxis, valueAxis],
    series: [{}, ...lines],
  }
  return new uPlot(options, [[], ...lines.map(() => [])], element)
}

/** A handful of records is no mountain. */
const recordsRange = (_, __, most) => [0, Math.max(10, most * 1.1)]

const powers = (n) => Array.from({ length: 9 }, (_, exponent) => n * 10 ** exponent)
