/** What Bun reads before our code runs, whoever starts it has to give: it must say the same everywhere. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { runtime, supervisorRuntime } from '../../supervisor/runtime.ts'

const root = join(import.meta.dir, '../..')

const settings = (values: Record<string, string>) =>
  Object.entries(values).map(([name, value]) => `${name}=${value}`)

test('`bun run supervisor` has what a supervisor is to have', async () => {
  const { scripts } = await Bun.file(join(root, 'package.json')).json()
  const expected = [...settings(supervisorRuntime), 'bun', 'supervisor/main.ts']
  expect(scripts.supervisor.split(' ')).toEqual(expected)
})

test('the image has what children get', async () => {
  const words = (await Bun.file(join(root, 'deploy/Dockerfile')).text()).split(/[\s\\]+/)
  expect(words).toEqual(expect.arrayContaining(settings(runtime)))
})
