/** The supervisor's loop as GET /api/loop gives it. Pure. */
import { boundsSeconds, type Histogram } from '../supervisor/histogram.ts'
import type { LoopAccount } from '../supervisor/loop.ts'
import type { LoopReport } from './schemas.ts'

export function loopReport(account: LoopAccount | null): LoopReport {
  if (!account) return { loop: null }
  const { supervisor, since, at, looks, failed, decision } = account
  return {
    loop: {
      supervisor,
      since: iso(since),
      at: iso(at),
      looks,
      measurementsFailed: failed,
      latenessSeconds: durationReport(account.lateness),
      lookSeconds: durationReport(account.look),
      measurementAgeSeconds: durationReport(account.age),
      scaleOutSeconds: durationReport(account.out),
      scaleInSeconds: durationReport(account.in),
      decision: decision && { ...decision, at: iso(decision.at) },
    },
  }
}

/** `count` of a bucket is of all up to `le`, as in Prometheus; what took longer is in no bucket. */
function durationReport({ buckets, ...rest }: Histogram) {
  let below = 0
  const cumulative = boundsSeconds.map((le, k) => ({ le, count: (below += buckets[k]!) }))
  return { ...rest, buckets: cumulative }
}

const iso = (ms: number) => new Date(ms).toISOString()
