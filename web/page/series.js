/**
 * The charts' points: the server's history, then what the page saw itself. Columns are what uPlot takes:
 * seconds, then one array a measure; a hole stands where nobody measured.
 */
const POINTS_MOST = 1_200
/** A hole of more steps than this was not watched, and is not drawn over. */
const GAP_STEPS = 5
/** Less would make a second look like a trend. */
const SPAN_LEAST_MS = 120_000
const spansMs = {
  '5min': 300_000,
  '15min': 900_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': 86_400_000,
}

const measures = [
  'backlog',
  'kafkaLag',
  'executors',
  'target',
  'in',
  'out',
  'p50',
  'p99',
  'eventP50',
  'eventP99',
]

/** Calls `changed` when there is something new to draw. */
export function createSeries(changed) {
  let span = '15min'
  let stepMs = 1_000
  let points = []
  let asked = 0

  const fetchHistory = async () => {
    const mine = ++asked
    const limit = Math.min(1_000, Math.max(60, Math.round(spansMs[span] / 1_000)))
    const query = `span=${span}&limit=${Math.min(limit, 450)}`
    try {
      const answer = await fetch(`/api/history?${query}`)
      if (!answer.ok || mine !== asked) return
      const history = await answer.json()
      const newest = Date.parse(history.points.at(-1)?.at ?? 0)
      const own = points.filter(({ at }) => at > newest)
      stepMs = history.stepMs
      points = [...history.points.map(pointOf), ...own]
      changed()
    } catch {
      // The connection is lost, which the page says; it is asked again when that is back.
    }
  }

  return {
    fetch: fetchHistory,
    get span() {
      return span
    },
    choose(given) {
      span = given
      points = []
      return fetchHistory()
    },
    /** The newest status; its point replaces one of the same step. */
    add(status) {
      const at = Date.parse(status.at)
      const last = points.at(-1)
      if (last && at <= last.at) return
      const point = ownPoint(at, status)
      if (last && Math.floor(last.at / stepMs) === Math.floor(at / stepMs)) {
        points[points.length - 1] = peaks(last, point)
      } else {
        points.push(point)
      }
      const from = at - spansMs[span]
      while (points.length > POINTS_MOST || points[0]?.at < from) points.shift()
      changed()
    },
    /** From the first point on where the span is longer, but never less than two minutes. */
    columns(now) {
      const first = Math.min(points[0]?.at ?? now, now - SPAN_LEAST_MS)
      return columnsOf(points, stepMs, Math.max(now - spansMs[span], first), now)
    },
  }
}

const pointOf = ({
  at,
  backlog,
  kafkaLag,
  executors,
  target,
  latencyMs,
  eventDelayMs,
  ...rates
}) => ({
  at: Date.parse(at),
  backlog,
  kafkaLag,
  executors,
  target,
  in: rates.arrivedPerSecond,
  out: rates.committedPerSecond,
  p50: latencyMs.p50,
  p99: latencyMs.p99,
  eventP50: eventDelayMs.p50,
  eventP99: eventDelayMs.p99,
})

function ownPoint(at, { backlog, executors, rates, latencyMs, eventDelayMs, lastDecision }) {
  return {
    at,
    backlog: backlog.records,
    kafkaLag: backlog.kafkaLag,
    executors: executors.count,
    target: lastDecision?.to ?? executors.count,
    in: rates.inPerSecond,
    out: rates.outPerSecond,
    p50: latencyMs.p50,
    p99: latencyMs.p99,
    eventP50: eventDelayMs.p50,
    eventP99: eventDelayMs.p99,
  }
}

/** Of one step the peaks stay, as in the server's history. */
function peaks(before, point) {
  const highest = (name) =>
    before[name] === null || point[name] === null
      ? (point[name] ?? before[name])
      : Math.max(before[name], point[name])
  const kept = ['backlog', 'kafkaLag', 'executors', 'target', 'p99', 'eventP99']
  return { ...point, ...Object.fromEntries(kept.map((name) => [name, highest(name)])) }
}

/** `from` and `to` are the bounds of the time axis, in seconds like `at`. */
function columnsOf(points, stepMs, from, now) {
  const columns = { at: [], ...Object.fromEntries(measures.map((name) => [name, []])) }
  let last = null
  for (const point of points) {
    // In silence one is measured a minute: the line goes on where nothing happened.
    const gap = last !== null && point.at - last.at > GAP_STEPS * stepMs && !isSilent(last, point)
    if (gap) {
      columns.at.push((last.at + 1) / 1_000)
      for (const name of measures) columns[name].push(null)
    }
    columns.at.push(point.at / 1_000)
    for (const name of measures) columns[name].push(point[name] ?? null)
    last = point
  }
  return { ...columns, from: from / 1_000, to: now / 1_000 }
}

const SILENT_MS = 90_000

const isSilent = (before, after) =>
  after.at - before.at < SILENT_MS && before.backlog === 0 && before.executors === 0
