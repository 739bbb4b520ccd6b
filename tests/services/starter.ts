/** Starts services in a directory, prints their pids as JSON and stays, for services.test.ts to end. */
import { startServices } from '../../services/services.ts'

const { kafka, redis } = await startServices({ dir: process.argv[2] ?? '' })
process.stdout.write(`${JSON.stringify([kafka.pid, redis.pid])}\n`)
setInterval(() => undefined, 60_000)
