/**
 * A supervisor in a cluster: the whole program over HTTPS with a service account, as its pod would run it, beside
 * a bridge of its own. Its executors are pods, which are real executors here; every window is recomputed.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fill } from '../../faults/load.ts'
import { until } from '../../faults/until.ts'
import { expectExact } from '../faults/exact.ts'
import { type Pipeline, withPipeline } from '../integration/pipeline.ts'
import { fakeCluster } from '../support/cluster.ts'
import { Kubelet } from '../support/kubelet.ts'
import { testServices } from '../support/services.ts'

const RECORDS = 3_000
const template = 'students-executor'
const folder = mkdtempSync(join(tmpdir(), 'millrace-cluster-'))
const patiently = { timeoutMs: 30_000 }
const root = join(import.meta.dir, '../..')

/** A certificate of an authority that nobody else knows, as a cluster's is. */
const canCertify = Bun.which('openssl') !== null
if (!canCertify) {
  process.stderr.write('NOT CHECKED: a supervisor in a cluster, for want of openssl\n')
}

beforeAll(testServices, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function certificate(): { key: string; cert: string } {
  const [key, cert] = [join(folder, 'tls.key'), join(folder, 'ca.crt')]
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const made = [
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '1',
    ...subject,
  ]
  const { exitCode } = Bun.spawnSync([...made, '-keyout', key, '-out', cert], { stderr: 'ignore' })
  if (exitCode !== 0) throw new Error('openssl made no certificate')
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

const executorsOf = async (pipeline: Pipeline) => (await pipeline.alive('executor')).length

test.skipIf(!canCertify)(
  'from 0 to 2 pods and back, and on when it is killed',
  async () => {
    const cluster = fakeCluster({ template: { name: template, args: [] }, tls: certificate() })
    writeFileSync(join(folder, 'token'), cluster.account.token())
    writeFileSync(join(folder, 'namespace'), cluster.account.namespace)
    const { hostname, port } = new URL(cluster.account.url)
    const environment = {
      MILLRACE_TEST_SPIN_US: '500',
      MILLRACE_POD_TEMPLATE: template,
      MILLRACE_SERVICE_ACCOUNT: folder,
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
    }
    const options = { label: 'cluster', job: 'students.ts', topic: { partitions: 4 }, environment }
    await withPipeline(options, async (pipeline) => {
      const { environment: services } = await testServices()
      const kubelet = new Kubelet({
        account: cluster.account,
        program: [process.execPath, join(root, 'cli/main.ts'), 'executor', pipeline.jobFile],
        environment: {
          ...process.env,
          ...services,
          MILLRACE_TEST_JOB: pipeline.name,
          MILLRACE_TEST_TOPIC: pipeline.topic.name,
          MILLRACE_TEST_SPIN_US: '500',
        },
      })
      kubelet.start()
      const bridge = ['actors/bridge/main.ts', pipeline.jobFile, '--from', 'earliest']
      const beside = pipeline.spawnBeside(bridge)
      const args = ['--fleet', 'kubernetes', '--without', 'bridge,sinks', '--max', '2']
      const first = await pipeline.begin(args)
      await fill(pipeline, RECORDS)
      await until('two pods at work', async () => (await executorsOf(pipeline)) === 2, patiently)
      expect([...cluster.pods.keys()].sort()).toEqual(
        (await pipeline.alive('executor')).map(({ id }) => id).sort(),
      )
      // Pods do not hear of its end: the next one finds them, and no others are made.
      first.process.kill('SIGKILL')
      await first.process.exited
      const made = new Set(cluster.pods.keys())
      await pipeline.begin(args)
      await expectExact(pipeline, RECORDS)
      await pipeline.post('/api/executors', { min: 0, max: 0 })
      await until('their pods to go', () => cluster.pods.size === 0, patiently)
      const created = cluster.calls.filter((call) => call.startsWith('POST ')).length
      expect({ created, made: made.size }).toEqual({ created: 2, made: 2 })

      beside.kill('SIGTERM')
      expect(await beside.exited).toBe(0)
      await kubelet.stop()
    })
    await cluster.stop()
  },
  120_000,
)
