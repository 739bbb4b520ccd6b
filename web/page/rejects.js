/** Records that were not counted: how many by reason, and the newest as samples. */
import * as format from '/format.js'
import { createHead, createRows, follow, part, put } from '/rows.js'

const SAMPLES = 50
/** Samples are asked for when there are more, but not more often than this. */
const ASK_MS = 2_000

const columns = [
  { text: 'When' },
  { text: 'Reason' },
  { text: 'Partition', number: true },
  { text: 'Offset', number: true },
  { text: 'What is wrong' },
  { text: 'Record' },
]

const byId = (id) => document.getElementById(id)

export function createRejects() {
  const table = byId('rejectsTable')
  createHead(table.tHead)(columns)
  const show = createRows(table.tBodies[0])
  const items = new Map()
  let seen = -1
  let askedAt = -Infinity
  let samples = []

  const ask = async () => {
    try {
      const answer = await fetch(`/api/rejects?limit=${SAMPLES}`)
      if (answer.ok) samples = (await answer.json()).rejects
    } catch {
      seen = -1
    }
  }

  return async ({ totals, rejects, topic }, now) => {
    const count = totals.late + totals.rejected
    byId('rejects').hidden = count === 0
    byId('noRejects').hidden = count > 0
    byId('rejectsHelp').hidden = count === 0
    put(byId('rejectsShare'), count === 0 ? '' : shareText(count, totals.committed))
    follow(byId('reasons'), reasonItems(items, rejects, count))
    if (count !== seen && performance.now() - askedAt > ASK_MS && count > 0) {
      seen = count
      askedAt = performance.now()
      await ask()
    }
    show(samples.map((sample) => sampleRow(sample, now, topic)))
  }
}

const shareText = (count, committed) =>
  `${format.number(count)} of ${format.number(committed)} committed, ${format.smallShare(count / committed)}`

/** Most frequent first. Counted by reason since the job was started by a version that does so. */
function reasonItems(items, rejects, count) {
  const known = Object.entries(rejects).sort(([, a], [, b]) => b - a)
  const rest = count - known.reduce((sum, [, records]) => sum + records, 0)
  const all = rest > 0 ? [...known, ['before', rest]] : known
  const most = Math.max(1, ...all.map(([, records]) => records))
  return all.map(([reason, records]) => {
    const item = items.get(reason) ?? newItem(reason)
    items.set(reason, item)
    item.querySelector('.track > span').style.width = `${Math.max(1, (records / most) * 100)}%`
    put(item.lastChild, format.number(records))
    return item
  })
}

function newItem(reason) {
  const item = part('li')
  const track = part('span', undefined, 'track')
  track.append(part('span'))
  item.append(part('span', reason), track, part('span', '', 'number'))
  return item
}

/** `jobTopic`: where the job has several, it is none of them. */
function sampleRow({ at, reason, topic, partition, offset, message, value }, now, jobTopic) {
  const place = topic === jobTopic ? String(partition) : `${topic}/${partition}`
  return {
    key: `${place}:${offset}:${reason}`,
    cells: [
      { text: format.ago(now - Date.parse(at)), time: at, title: format.absolute(at) },
      { text: reason, pill: reason === 'late' ? 'draining' : 'dead' },
      { text: place, number: true },
      { text: offset, number: true },
      { text: message, title: message, className: 'reason' },
      { text: value, title: value, className: 'record' },
    ],
  }
}
