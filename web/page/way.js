/**
 * Data's way as one picture: a number at each stage, how full and how fast it is, and the account of
 * every record below it.
 */
import * as format from '/format.js'
import { part, put } from '/rows.js'

const byId = (id) => document.getElementById(id)
const ACCOUNT = ['appended', 'counted', 'filtered', 'late', 'rejected', 'unaccounted']
const SLOTS_MOST = 16

export function showWay(status, executors) {
  const { backlog, rates, latencyMs, totals } = status
  put(byId('kafkaLag'), format.compact(backlog.kafkaLag))
  put(byId('kafkaDetail'), status.topic)
  put(byId('inPerSecond'), format.rate(rates.inPerSecond))
  put(byId('bridgeDetail'), `${format.compact(totals.appended)} so far`)
  put(byId('backlog'), format.compact(backlog.records))
  put(byId('entries'), entriesText(backlog))
  byId('entries').title = shardsText(status.shards)
  showFleet(status, executors)
  put(byId('outPerSecond'), format.rate(rates.outPerSecond))
  put(byId('latency'), latencyText(latencyMs))
  flow('kafka', rates.inPerSecond)
  flow('bridge', rates.inPerSecond)
  flow('stream', rates.outPerSecond)
  flow('fleet', rates.outPerSecond)
  flow('commits', rates.outPerSecond)
  showAccount(totals, backlog.records - totals.unaccounted)
}

function entriesText({ entries, pending }) {
  if (entries === 0) return 'empty'
  return `${format.number(entries)} entries, ${format.number(pending)} held`
}

/** Of a job that is divided. */
function shardsText(shards) {
  if (shards.length < 2) return ''
  return shards
    .map(({ shard, records, entries }) => {
      const many = `${format.number(records)} records in ${format.number(entries)} entries`
      return `shard ${shard}: ${many}`
    })
    .join('\n')
}

function latencyText({ p50, p99 }) {
  if (p50 === null) return 'nothing to time'
  return `${format.shortDuration(p50)} median, p99 ${format.shortDuration(p99)}`
}

function showFleet({ executors: { count, min, max, policy } }, executors) {
  put(byId('executors'), format.number(count))
  put(byId('limits'), min === null ? 'running' : `of ${min} to ${max}`)
  put(byId('fleetDetail'), policy === null ? '' : `policy ${policy}`)
  const living = executors.filter(({ state }) =>
    ['starting', 'running', 'draining'].includes(state),
  )
  const slots = Math.min(SLOTS_MOST, Math.max(max ?? 0, living.length))
  const element = byId('slots')
  while (element.children.length > slots) element.lastChild.remove()
  while (element.children.length < slots) {
    const slot = part('span', undefined, 'slot')
    slot.append(part('span'))
    element.append(slot)
  }
  for (const [index, slot] of [...element.children].entries()) {
    const executor = living[index]
    slot.className = `slot ${executor?.state ?? ''}`
    slot.firstChild.style.height = `${Math.round((executor?.busy ?? 0) * 100)}%`
  }
}

/** The more records a second, the faster the line runs: twice as fast for ten times as many. */
function flow(id, perSecond) {
  const element = byId(id)
  const runs = perSecond !== null && perSecond > 0
  element.classList.toggle('flows', runs)
  if (!runs) return
  const seconds = 1.2 / 2 ** Math.min(4, Math.log10(Math.max(1, perSecond)))
  // In coarse steps, as each change begins the animation again.
  element.style.setProperty('--pace', `${(Math.ceil(seconds * 5) / 5).toFixed(1)}s`)
}

function showAccount(totals, waiting) {
  for (const name of ACCOUNT) put(byId(name), format.number(totals[name]))
  put(byId('waiting'), format.number(waiting))
  const account = byId('account')
  account.classList.toggle('wrong', totals.unaccounted !== 0)
  account.title =
    totals.unaccounted === 0
      ? 'Every record that came in is accounted for'
      : 'Records are missing or counted twice: run bun run verify, and report it'
}

export function showWatermark({ watermark, watermarkHeldBy, watermarkHeldByTopic }, now) {
  const age = watermark === null ? null : now - Date.parse(watermark)
  put(byId('watermark'), format.shortDuration(age))
  byId('watermark').title = watermark === null ? '' : format.absolute(watermark)
  const of = watermarkHeldByTopic === null ? '' : ` of ${watermarkHeldByTopic}`
  const held =
    watermarkHeldBy === null ? 'all partitions idle' : `held by partition ${watermarkHeldBy}${of}`
  put(byId('watermarkHeld'), watermark === null ? 'no record yet' : held)
}
