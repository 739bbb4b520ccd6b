/**
 * What must stay bounded whatever comes in.
 */
import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { bounds } from '../../actors/config.ts'
import { startByHand } from '../../faults/actions/processes.ts'
import { until } from '../../faults/until.ts'
import { student } from '../integration/student.ts'
import { withPipeline } from '../integration/pipeline.ts'
import { expectExact } from './exact.ts'

const MIB = 2 ** 20
/** Of one batch, which goes whole into each of the entries that it is split over. */
const RECORDS = 400

test('a batch of costly records, split over many entries, does not pass the mark of the stream', async () => {
  const options = { label: 'split', job: 'poison.ts', topic: { partitions: 1 } }
  await withPipeline(options, async (pipeline) => {
    // Of bytes by chance: what becomes smaller on its way would be far from the mark.
    const filler = () => randomBytes(750).toString('base64')
    await pipeline.topic.produce(
      Array.from({ length: RECORDS }, () => student({ student_name: filler() })),
    )
    const bridge = startByHand(pipeline, 'bridge')
    const waitingBytes = async () => (await pipeline.snapshot()).totals.waitingBytes
    await until('the mark', async () => (await waitingBytes()) >= bounds.streamBytesMax)
    const end = performance.now() + 1_000
    await until('a second to pass', async () => {
      expect(await waitingBytes()).toBeLessThan(bounds.streamBytesMax + 2 * MIB)
      return performance.now() > end
    })
    bridge.kill('SIGTERM')
    expect(await bridge.exited).toBe(0)
    await pipeline.begin()
    await expectExact(pipeline, RECORDS)
  })
}, 60_000)
