/** A certificate for 127.0.0.1 and who signed it, made anew with openssl, for tests of TLS. */
import { join } from 'node:path'
import { RefusalError } from '../actors/errors.ts'

export interface Certificates {
  ca: string
  cert: string
  key: string
}

/** Paths of PEM files in `dir`, valid for a day. */
export async function makeCertificates(dir: string): Promise<Certificates> {
  const at = (name: string) => join(dir, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
  const ca = { cert: at('ca.pem'), key: at('ca-key.pem') }
  const own = { cert: at('redis.pem'), key: at('redis-key.pem') }
  await openssl(['req', '-x509', ...key, '-subj', '/CN=test', '-keyout', ca.key, '-out', ca.cert])
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const signer = ['-CA', ca.cert, '-CAkey', ca.key]
  await openssl([
    'req',
    '-x509',
    ...key,
    ...subject,
    ...signer,
    '-keyout',
    own.key,
    '-out',
    own.cert,
  ])
  return { ca: ca.cert, ...own }
}

async function openssl(args: string[]): Promise<void> {
  const program = Bun.which('openssl')
  if (!program) throw new RefusalError('no openssl: install it, to make certificates for the tests')
  const child = Bun.spawn([program, ...args], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  const [said, code] = await Promise.all([new Response(child.stderr).text(), child.exited])
  if (code !== 0) throw new RefusalError(`openssl ended with ${code}: ${said.trim().slice(-200)}`)
}
