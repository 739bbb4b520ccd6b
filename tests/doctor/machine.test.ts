/**
 * Verdicts on this machine, the page's address, and how findings are shown.
 */
import { expect, test } from 'bun:test'
import { judgeBinding } from '../../doctor/examine.ts'
import { fatal, hint, ok, warning } from '../../doctor/finding.ts'
import { judgeMachine, type MachineFacts, readMachine } from '../../doctor/machine.ts'
import { reportOf } from '../../doctor/report.ts'

const facts: MachineFacts = {
  cores: 4,
  memory: 8 * 2 ** 30,
  files: 65_536,
  version: '1.4.5',
  pinned: '1.4.5',
  executorsMax: 4,
}

const wrong = (change: Partial<MachineFacts>) =>
  judgeMachine({ ...facts, ...change })
    .filter(({ level }) => level !== 'ok')
    .map(({ level, what }) => `${level} ${what}`)

test('a machine as it should be', () => {
  expect(wrong({})).toEqual([])
  expect(wrong({ files: null })).toEqual([])
})

test('more executors than it can bear', () => {
  expect(wrong({ cores: 2 })).toEqual(['hint cores'])
  expect(wrong({ memory: 300 * 2 ** 20 })).toEqual(['warning memory'])
  expect(wrong({ files: 256 })).toEqual(['warning open files'])
})

test('another Bun: an older one is worth a warning', () => {
  expect(wrong({ version: '1.4.4' })).toEqual(['warning Bun'])
  expect(wrong({ version: '1.3.99' })).toEqual(['warning Bun'])
  expect(wrong({ version: '1.4.10' })).toEqual(['hint Bun'])
  expect(wrong({ version: '2.0.0' })).toEqual(['hint Bun'])
})

test('this machine can be read', () => {
  const read = readMachine(4)
  expect(read.cores).toBeGreaterThan(0)
  expect(read.memory).toBeGreaterThan(2 ** 20)
  expect(read.pinned).toMatch(/^\d+\.\d+\.\d+$/)
})

test('a page that others reach needs a token', () => {
  expect(judgeBinding('127.0.0.1', {}).level).toBe('ok')
  expect(judgeBinding('0.0.0.0', { MILLRACE_TOKEN: 'canary-4711' }).level).toBe('ok')
  const finding = judgeBinding('0.0.0.0', {})
  expect(finding).toMatchObject({ level: 'fatal', todo: expect.stringContaining('MILLRACE_TOKEN') })
  expect(JSON.stringify(judgeBinding('::', { MILLRACE_TOKEN: 'canary-4711' }))).not.toContain(
    '4711',
  )
})

test('findings in lines: what is well in one, what is not with what to do', () => {
  const findings = [ok('a', 'well'), hint('bb', 'so so'), warning('c', 'bad', 'mend it')]
  expect(reportOf(findings)).toBe(
    [
      'ok      a   well',
      'hint    bb  so so',
      'WARNING c   bad',
      '            → mend it',
      '',
      'the job can run: 0 fatal, 1 warning, 1 hint\n',
    ].join('\n'),
  )
  expect(reportOf([fatal('a', 'worse', 'stop')])).toContain("the job can't run as it is: 1 fatal")
})
