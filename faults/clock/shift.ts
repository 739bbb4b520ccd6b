/**
 * Preloaded into our own processes: the wall clock of some kinds of actors is wrong. One that is ahead
 * jumps a few seconds after the start; one that is behind is so from the start, because no process of
 * ours believes a clock that runs back. MILLRACE_TEST_CLOCK is `executor:-600000,bridge:600000`, in ms.
 */
const SOON_MS = 3_000

const kind = /(supervisor|bridge|executor|web)\/main\.[jt]s$/.exec(process.argv[1] ?? '')?.[1]
const shifts = new Map(
  (process.env.MILLRACE_TEST_CLOCK ?? '').split(',').map((one) => {
    const [name = '', ms = '0'] = one.split(':')
    return [name, Number(ms)] as const
  }),
)
const shiftMs = shifts.get(kind ?? '') ?? 0
const now = Date.now
const startedAt = performance.now()
if (shiftMs !== 0) {
  Date.now = () => now() + (shiftMs < 0 || performance.now() - startedAt > SOON_MS ? shiftMs : 0)
}
