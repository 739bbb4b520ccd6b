/** The hosts of a job as the status tells of them. Pure. */
import type { Snapshot } from '../actors/measure.ts'
import { wordOf } from './hosts.ts'
import { isAtWork } from './register.ts'

/** A machine whose supervisor offers it to the job's executors. */
export interface HostReport {
  host: string
  supervisor: string
  leads: boolean
  cores: number
  /** Cores that idled when it last said so; null where that is not known. */
  coresIdle: number | null
  memoryFreeBytes: number
  /** Executors that it takes at the most, that it has, and that the leader wants there; null where it says nothing. */
  limit: number
  executors: number
  wanted: number | null
}

/** The leader's first, then by name. */
export function hostReports({ actors, hosts, leader }: Snapshot): HostReport[] {
  const { leader: speaker, want } = wordOf(hosts)
  const isSaid = speaker !== '' && speaker === leader
  const reports = actors.flatMap(({ id, kind, alive, host, offer }): HostReport[] => {
    if (kind !== 'supervisor' || !alive || !offer) return []
    const theirs = actors.filter(
      (one) => one.kind === 'executor' && one.alive && one.of === id && isAtWork(one),
    )
    const { cores, idle: coresIdle, memoryFreeBytes, limit } = offer
    const executors = theirs.length
    const wanted = isSaid ? (want.get(id) ?? null) : null
    const leads = id === leader
    const has = { limit, executors, wanted }
    return [{ host, supervisor: id, leads, cores, coresIdle, memoryFreeBytes, ...has }]
  })
  return reports.sort((a, b) => Number(b.leads) - Number(a.leads) || (a.host < b.host ? -1 : 1))
}
