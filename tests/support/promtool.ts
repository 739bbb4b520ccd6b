/** Prometheus's own checker, where the machine has it. */
import { installedPromtool } from '../../services/promtool.ts'

export const promtool = installedPromtool()

/** Runs it; answers with its exit code and all that it says. */
export async function runPromtool(args: string[], input = '') {
  const child = Bun.spawn([promtool!, ...args], {
    stdin: new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const streams = [child.stdout, child.stderr].map((stream) => new Response(stream).text())
  return { code: await child.exited, said: (await Promise.all(streams)).join('') }
}
