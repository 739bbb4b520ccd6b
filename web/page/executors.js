/** Executors as a table: the living, then those that are gone, with their reason. */
import * as format from '/format.js'
import { createHead, createRows, put } from '/rows.js'

const columns = [
  { text: 'Executor' },
  { text: 'State' },
  { text: 'PID', number: true },
  { text: 'Busy' },
  { text: 'Records / s', number: true },
  { text: 'Records', number: true },
  { text: 'Memory', number: true },
  { text: 'Age', number: true },
  { text: 'Reason' },
  { text: '' },
]

export const isLiving = ({ state }) => ['starting', 'running', 'draining'].includes(state)

/**
 * `drain` is called with the id of the executor that is to go; `hosts` lists machines, where there are several, with
 * the bounds that they have below `max`, the job's.
 */
export function createExecutors({ table, none, memory, hosts, drain }) {
  createHead(table.tHead)(columns)
  const show = createRows(table.tBodies[0])
  return (executors, now, machines, max) => {
    const living = executors.filter(isLiving)
    none.hidden = executors.length > 0
    table.hidden = executors.length === 0
    const bytes = living.reduce((sum, { rssBytes }) => sum + rssBytes, 0)
    put(memory, living.length === 0 ? '' : `${format.bytes(bytes)} in all`)
    const several = machines.length > 1
    show(executors.map((executor) => executorRow(executor, now, drain, several)))
    hosts.hidden = !several
    put(hosts, several ? machines.map((host) => hostText(host, max)).join('\n') : '')
  }
}

function hostText(machine, max) {
  const { host, leads, executors, wanted, limit, cores, coresIdle, memoryFreeBytes } = machine
  // Without a bound of its own a machine takes as many as the job may have.
  const bound = max === null || limit < max ? ` of at most ${limit}` : ''
  const idle = coresIdle === null ? '' : `, ${coresIdle.toFixed(1)} idle`
  const told = wanted === null || wanted === executors ? '' : `, ${wanted} wanted`
  const free = format.bytes(memoryFreeBytes)
  return `${host}${leads ? ' (leads)' : ''}: ${format.count(executors, 'executor')}${bound}${told}; ${format.count(cores, 'core')}${idle}; ${free} free`
}

function executorRow(executor, now, drain, several) {
  const { id, host, state, pid, busy, startedAt, stoppedAt } = executor
  const lives = isLiving(executor)
  const until = stoppedAt === null ? now : Date.parse(stoppedAt)
  const age = format.duration(until - Date.parse(startedAt))
  const times = `since ${format.absolute(startedAt)}${stoppedAt ? ` to ${format.absolute(stoppedAt)}` : ''}`
  return {
    key: id,
    className: lives ? '' : 'gone',
    cells: [
      { text: several ? `${id} on ${host}` : id, title: `on ${host}` },
      { text: state, pill: state },
      { text: String(pid), number: true },
      { text: format.share(busy), bar: busy },
      { text: format.rate(executor.recordsPerSecond), number: true },
      { text: format.number(executor.records), number: true },
      { text: lives ? format.bytes(executor.rssBytes) : '–', number: true },
      { text: age, number: true, title: times },
      { text: reasonText(executor, now), title: executor.reason ?? '', className: 'reason' },
      {
        text: state === 'running' ? 'Drain' : '',
        button: { label: `Drain ${id}`, press: () => drain(id) },
      },
    ],
  }
}

function reasonText({ reason, stoppedAt }, now) {
  const ago = stoppedAt === null ? '' : format.ago(now - Date.parse(stoppedAt))
  return [ago, reason].filter(Boolean).join(': ')
}
