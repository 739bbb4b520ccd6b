/**
 * Two real jobs on the same Kafka and Redis that share two executors: the first has both, gives one back
 * when the second comes, and has both again when the second has nothing to do.
 */
import { expect, test } from 'bun:test'
import { shared } from '../../actors/keys.ts'
import { measure, type Snapshot } from '../../actors/measure.ts'
import { until } from '../../faults/until.ts'
import type { JobsReport } from '../../supervisor/jobs.ts'
import { type Pipeline, withPipeline } from './pipeline.ts'

const TOTAL = 2
const patiently = { timeoutMs: 60_000 }

const options = (label: string) => ({
  label,
  job: 'students-slow.ts',
  topic: { partitions: 4 },
  environment: { MILLRACE_EXECUTORS_TOTAL: String(TOTAL) },
})

/** Twice what one executor does. */
const load = (pipeline: Pipeline) =>
  pipeline.spawn(['actors/producer/main.ts', '--topic', pipeline.topic.name, '--rate', '50'])

async function end(load: ReturnType<typeof Bun.spawn>): Promise<void> {
  load.kill('SIGTERM')
  await load.exited
}

const present = ({ actors }: Snapshot) =>
  actors.filter(
    ({ kind, alive, state }) =>
      kind === 'executor' && alive && ['starting', 'running', 'draining'].includes(state),
  ).length

test('two jobs share two executors', async () => {
  await withPipeline(options('tenant-a'), async (a) => {
    await withPipeline(options('tenant-b'), async (b) => {
      const most = { sum: 0 }
      /** Both in one look: the commands of one connection follow each other. */
      const executors = async (): Promise<[number, number]> => {
        const [ofA, ofB] = await Promise.all([measure(a.store, a.keys), measure(a.store, b.keys)])
        const counts = [present(ofA), present(ofB)] as [number, number]
        most.sum = Math.max(most.sum, counts[0] + counts[1])
        return counts
      }
      const untilShared = (wanted: [number, number]) =>
        until(
          `${wanted.join(' and ')} executors`,
          async () => {
            const counts = await executors()
            if (counts.join() === wanted.join()) return true
            throw new Error(counts.join(' and '))
          },
          patiently,
        )
      await a.begin()
      const loadOfA = load(a)
      await untilShared([2, 0])
      await b.begin()
      const loadOfB = load(b)
      await untilShared([1, 1])
      const loop = () => a.get<{ loop: { decision: { sentence: string } } }>('/api/loop')
      await until('the reason', async () =>
        (await loop()).loop.decision.sentence.includes(
          'its share of the 2 executors of all jobs is 1',
        ),
      )
      const { jobs } = await a.get<JobsReport>('/api/jobs')
      for (const { name, url } of [a, b]) {
        const one = jobs.find(({ job }) => job === name)
        expect(one).toMatchObject({ state: 'running', page: `${url}/`, executors: { count: 1 } })
      }
      await end(loadOfB)
      await untilShared([2, 0])
      await end(loadOfA)
      await Promise.all([a, b].map((one) => one.drained()))
      expect(most.sum).toBeLessThanOrEqual(TOTAL)
      for (const one of [a, b]) {
        expect(await one.verify()).toMatchObject({ ok: true, lost: 0, duplicated: 0, wrong: 0 })
      }
      // A supervisor that leaves in order keeps nothing reserved.
      await b.stop()
      expect(await a.store.redis.hkeys(shared.pool)).not.toContain(b.name)
    })
  })
}, 240_000)
