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
