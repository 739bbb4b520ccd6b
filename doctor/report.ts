/**
 * Findings on a terminal: what is wrong first to last as it was looked at, what is well in one short
 * line each, and a last line that counts.
 */
import type { Finding, Level } from './finding.ts'

const marks: Record<Level, string> = {
  ok: 'ok',
  hint: 'hint',
  warning: 'WARNING',
  fatal: 'FATAL',
}

export function reportOf(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length))
  const lines = findings.flatMap(({ level, what, found, todo }) => {
    const line = `${marks[level].padEnd(8)}${what.padEnd(width)}  ${found}`
    const indent = ' '.repeat(8 + width + 2)
    return todo === null ? [line] : [line, `${indent}→ ${todo}`]
  })
  return `${[...lines, '', summaryOf(findings)].join('\n')}\n`
}

function summaryOf(findings: readonly Finding[]): string {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length
  const of = (level: Level, word: string) =>
    `${count(level)} ${word}${count(level) === 1 ? '' : 's'}`
  const counts = `${count('fatal')} fatal, ${of('warning', 'warning')}, ${of('hint', 'hint')}`
  return count('fatal') > 0 ? `the job can't run as it is: ${counts}` : `the job can run: ${counts}`
}
