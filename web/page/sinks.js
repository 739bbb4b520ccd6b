/** Sinks of the job's closed windows: where each is, how far behind, and what is wrong with it. */
import * as format from '/format.js'
import { createHead, createRows } from '/rows.js'

const ASK_MS = 5_000

const columns = [
  { text: 'Sink' },
  { text: 'State' },
  { text: 'Writes to' },
  { text: 'Windows behind', number: true },
  { text: 'Windows', number: true },
  { text: 'Rows', number: true },
  { text: 'Lost', number: true },
  { text: 'Skipped', number: true },
  { text: 'Last' },
  { text: 'Reason' },
]

/** Pills' colours by state. */
const kinds = {
  running: 'running',
  starting: 'starting',
  down: 'dead',
  refused: 'dead',
  absent: 'dead',
}

const byId = (id) => document.getElementById(id)

/** Asks only where the job declares any. */
export function createSinks({ sinks }) {
  byId('sinks').hidden = sinks.length === 0
  const table = byId('sinksTable')
  createHead(table.tHead)(columns)
  const show = createRows(table.tBodies[0])
  let askedAt = -Infinity

  return async (now) => {
    if (sinks.length === 0 || performance.now() - askedAt < ASK_MS) return
    askedAt = performance.now()
    try {
      const answer = await fetch('/api/sinks')
      if (answer.ok) show((await answer.json()).sinks.map((sink) => sinkRow(sink, now)))
    } catch {
      // The page says that the connection is lost; what it knew stays.
    }
  }
}

function sinkRow(sink, now) {
  const { name, kind, address, state, reason, writtenAt } = sink
  return {
    key: name,
    cells: [
      { text: name, title: kind },
      { text: state, pill: kinds[state] ?? '' },
      { text: address, title: address, className: 'reason' },
      { text: format.number(sink.lagWindows), number: true },
      { text: format.number(sink.windows), number: true },
      { text: format.number(sink.rows), number: true },
      { text: format.number(sink.lost), number: true },
      { text: format.number(sink.skipped), number: true },
      writtenAt === null
        ? { text: '–' }
        : {
            text: format.ago(now - Date.parse(writtenAt)),
            time: writtenAt,
            title: format.absolute(writtenAt),
          },
      { text: reason ?? '', title: reason ?? '', className: 'reason' },
    ],
  }
}
