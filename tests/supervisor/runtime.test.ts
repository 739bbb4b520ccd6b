/** Who starts a supervisor gives it what it gives to its children: nobody can set it for himself. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { runtime } from '../../supervisor/runtime.ts'

const root = join(import.meta.dir, '../..')
const settings = Object.entries(runtime).map(([name, value]) => `${name}=${value}`)

test('`bun run supervisor` has it', async () => {
  const { scripts } = await Bun.file(join(root, 'package.json')).json()
  expect(scripts.supervisor.split(' ')).toEqual([...settings, 'bun', 'supervisor/main.ts'])
})

test('the image has it', async () => {
  const words = (await Bun.file(join(root, 'deploy/Dockerfile')).text()).split(/[\s\\]+/)
  expect(words).toEqual(expect.arrayContaining(settings))
})
