/**
 * Another version of Millrace, as an upgrade brings it: a copy of the source whose functions in Redis
 * have another name, since that carries a hash of their code.
 */
import { sabotagedCopy } from './sabotage/copy.ts'

/** The first line of the functions; a comment changes nothing but the name. */
const FIRST_LINE = '-- Shared by all functions: names of keys, numbers, time.'

/** Answers with the copy's folder. */
export function anotherVersion(): string {
  const file = 'actors/functions/keys.lua'
  const edits = [{ file, find: FIRST_LINE, put: `${FIRST_LINE} Another version.` }]
  return sabotagedCopy({ name: 'another-version', title: 'an upgrade', edits })
}
