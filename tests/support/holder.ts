/**
 * Holds the services of one `bun test` that was started without any: starts them, prints their
 * addresses as one line of JSON, and stops them when the test process is gone. It is a process
 * beside the tests because Bun, when a test times out, kills the children that the test runner
 * started so far: one slow test would take the servers from all that come after.
 */
import { systemClock } from '../../actors/clock.ts'
import { messageOf } from '../../actors/errors.ts'
import { identify, isStill } from '../../services/identity.ts'
import { createProgress } from '../../cli/progress.ts'
import { startServices } from '../../services/services.ts'

const LOOK_EVERY_MS = 250

async function hold(testPid: number): Promise<void> {
  const tests = identify(testPid, '')
  const services = await startServices({ log: createProgress() })
  process.stdout.write(`${JSON.stringify(services.environment)}\n`)
  for (;;) {
    if (!tests || !isStill(tests)) break
    await systemClock.sleep(LOOK_EVERY_MS)
  }
  await services.stop()
}

try {
  await hold(Number(process.argv[2]))
  process.exit(0)
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: messageOf(error) })}\n`)
  process.exit(1)
}
