/**
 * Where the family's lines go: children log JSON through a pipe; a person at a terminal gets them in
 * the same form as ours, a machine gets them as they are.
 */
import * as v from 'valibot'
import { cutText, escaped } from '../actors/escape.ts'
import { createLog, type Fields, type Level } from '../actors/log.ts'

const lineSchema = v.looseObject({
  at: v.string(),
  level: v.picklist(['debug', 'info', 'warn', 'error']),
  actor: v.string(),
  event: v.string(),
})

/** Of a line that is no log line, such as one of a job's own. */
const plainCharactersMost = 4_000

/** Takes one line of a child's stderr. */
export function childOutput(human: boolean, level: Level): (line: string) => void {
  return (line) => {
    const parsed = human
      ? v.safeParse(v.pipe(v.string(), v.parseJson(), lineSchema), line)
      : { success: false as const }
    if (!parsed.success) {
      // A log line has nothing to escape any more; what else a job says must not steer a terminal.
      process.stderr.write(`${human ? cutText(escaped(line), plainCharactersMost) : line}\n`)
      return
    }
    const { at: _, level: lineLevel, actor, event, ...fields } = parsed.output
    createLog(actor, level)[lineLevel](event, fields as Fields)
  }
}
