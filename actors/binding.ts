/**
 * Where the web page may listen: on this machine, or anywhere with a token.
 */
import { UsageError } from './errors.ts'

/** @throws UsageError where others could reach us and no token would keep them from control calls */
export function checkBinding(host: string, token: string | undefined): void {
  if (isLoopback(host) || token) return
  throw new UsageError(
    `HOST ${host} can be reached from other machines: set MILLRACE_TOKEN, or bind to 127.0.0.1`,
  )
}

/** An address that a link may lead to. What stands in Redis or in the environment is anybody's word. */
export const isPageUrl = (text: string): boolean =>
  /^https?:\/\/[^\s"'<>]+$/i.test(text) && URL.canParse(text)

export const isLoopback = (host: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\]|::ffff:127(\.\d{1,3}){3})$/i.test(host)
