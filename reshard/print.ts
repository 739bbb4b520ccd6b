/** What the command says, for people. Pure. */
import { plural } from '../supervisor/figures.ts'
import { type ShardNumber, type ShardReport, wayOut } from './number.ts'
import type { Outcome } from './reshard.ts'

export function outcomeText(job: string, outcome: Outcome): string {
  const { from, to, partitions, moved, records, panes, seconds } = outcome
  const has = `job ${job} has ${plural(to, 'shard')}`
  if (outcome.outcome === 'same') return `${has} already`
  if (outcome.outcome === 'given up') return `${has}, as before: the change was given up`
  const what = [
    `${moved} of ${plural(partitions, 'partition')} moved`,
    `${plural(records, 'record')} processed before`,
    `${plural(panes, 'pane')} merged`,
  ]
  return `${has} now, and had ${from}: ${what.join(', ')}, in ${seconds.toFixed(1)} s`
}

export function shardsText(job: string, number: ShardNumber, shards: ShardReport[]): string {
  const { from, to } = number
  const state =
    to === null
      ? `job ${job} has ${plural(from, 'shard')}`
      : `job ${job} has ${plural(from, 'shard')}, and is being changed to ${to}: ${wayOut(number)}`
  const rows = shards.map(
    ({ shard, partitions, waiting, master }) =>
      `  shard ${shard}   partitions ${placesText(partitions)}   ${plural(waiting, 'record')} waiting   ${master}`,
  )
  return [state, ...rows].join('\n')
}

/** "0, 3", and of several topics "0, 3 of orders; 0 of returns". */
function placesText(partitions: ShardReport['partitions']): string {
  const topics = Map.groupBy(partitions, ({ topic }) => topic)
  const texts = Array.from(topics, ([topic, places]) => {
    const numbers = places.map(({ partition }) => partition).join(', ')
    return topic === null ? numbers : `${numbers} of ${topic}`
  })
  return texts.join('; ') || 'none'
}
