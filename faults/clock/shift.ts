/**
 * Preloaded into our own processes: the wall clock of some kinds of actors becomes wrong a few seconds
 * after they start. MILLRACE_TEST_CLOCK is `executor:-600000,bridge:600000`, in milliseconds.
 */
const SOON_MS = 3_000

const kind = /(supervisor|bridge|executor|web)\/main\.ts$/.exec(process.argv[1] ?? '')?.[1]
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
  Date.now = () => now() + (performance.now() - startedAt > SOON_MS ? shiftMs : 0)
}
