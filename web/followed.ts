/**
 * The windows that the event stream follows, and a cheap look at whether any of them changed: panes are
 * read again only where they did, closed windows once.
 */
import { PaneCache } from '../actors/windows/read.ts'
import type { WebParts } from './app.ts'
import type { WindowsSource } from './feed.ts'
import type { WindowTotalReport } from './window-schemas.ts'
import { RecentTotals, totalReport } from './totals.ts'
import { newestRows, windowReport, windowsVersion, withoutClosed } from './windows.ts'

/** The newest windows, and the newest rows of each state. */
const most = { windows: 120, open: 400, closed: 200 }

export interface FollowedWindows extends WindowsSource {
  totals(limit?: number): Promise<WindowTotalReport[]>
}

export function followWindows({
  store,
  keys,
  job,
}: Pick<WebParts, 'store' | 'keys' | 'job'>): FollowedWindows {
  const panes = new PaneCache()
  const recent = new RecentTotals(store, keys, job, panes)
  return {
    /** Changes with each commit and each window that closes. */
    version: () => windowsVersion(store, keys),
    async rows() {
      const open = await newestRows(store, keys, job, 'open', { limit: most.open }, panes)
      const closed = await newestRows(store, keys, job, 'closed', { limit: most.closed })
      return [...withoutClosed(job, open, closed), ...closed].map(windowReport)
    },
    async totals(limit = most.windows) {
      return (await recent.look()).slice(0, limit).map(totalReport)
    },
  }
}
