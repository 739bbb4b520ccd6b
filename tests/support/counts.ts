/**
 * What `bun test` counted, from its JUnit report, brought together with its exit code: a crash or an
 * error outside of any test ends it with a code and leaves no failed test in the report.
 */
export interface Counts {
  passed: number
  failed: number
}

/** `report` is undefined where none was written. Skipped tests count as neither. */
export function countsOf(report: string | undefined, exitCode: number): Counts {
  const counts = reported(report ?? '')
  const unexplained = exitCode !== 0 && counts.failed === 0
  return { passed: counts.passed, failed: counts.failed + (unexplained ? 1 : 0) }
}

/** `<testsuites name="bun test" tests="12" assertions="40" failures="1" skipped="2" time="0.3">` */
function reported(report: string): Counts {
  const head = /<testsuites\b[^>]*>/.exec(report)?.[0] ?? ''
  const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0)
  const failed = number('failures') + number('errors')
  return { passed: Math.max(0, number('tests') - failed - number('skipped')), failed }
}

/** Each failed test of a report: where it is, its name, and what it said, whole. */
export function failuresOf(report: string | undefined): string[] {
  const cases = (report ?? '').matchAll(/<testcase\b([^>]*[^/])>([\s\S]*?)<\/testcase>/g)
  return [...cases].flatMap(([, head = '', body = '']) => {
    const text = /<failure\b[^>]*?(?:\/>|>([\s\S]*?)<\/failure>)/.exec(body)
    if (!text) return []
    const attribute = (name: string) =>
      unescaped(new RegExp(`\\b${name}="([^"]*)"`).exec(head)?.[1] ?? '')
    const place = [attribute('file'), attribute('classname'), attribute('name')].filter(Boolean)
    return [`${place.join(' > ')}\n${unescaped(text[1] ?? '').trim()}`]
  })
}

const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

const unescaped = (text: string): string =>
  text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code: string | undefined, name: string) =>
    code === undefined ? (entities[name] ?? whole) : String.fromCodePoint(Number(code)),
  )
