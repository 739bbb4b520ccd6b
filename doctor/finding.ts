/**
 * What the start-up check finds: one line each, with what to do about it.
 *
 *   facts of a server, the machine, the job → a judging function → findings → terminal, JSON, refusal
 */
export const levels = ['ok', 'hint', 'warning', 'fatal'] as const
export type Level = (typeof levels)[number]

export interface Finding {
  level: Level
  /** What was looked at, a few words. */
  what: string
  found: string
  /** What to do, one sentence; null where there is nothing. */
  todo: string | null
  /** Fatal for now only: a job that starts waits for it, as it would while it runs. */
  waits?: true
}

export const ok = (what: string, found: string): Finding => ({
  level: 'ok',
  what,
  found,
  todo: null,
})
export const hint = (what: string, found: string, todo: string | null = null): Finding => ({
  level: 'hint',
  what,
  found,
  todo,
})
export const warning = (what: string, found: string, todo: string): Finding => ({
  level: 'warning',
  what,
  found,
  todo,
})
export const fatal = (what: string, found: string, todo: string): Finding => ({
  level: 'fatal',
  what,
  found,
  todo,
})
/** What is away or not ready: it can come back by itself. */
export const away = (what: string, found: string, todo: string): Finding => ({
  ...fatal(what, found, todo),
  waits: true,
})

/** A finding as one line of a log or of an error. */
export const sentenceOf = ({ found, todo }: Finding): string =>
  todo === null ? found : `${found}; ${todo}`

/** Whether a job that starts must not: it is fatal, and waiting does not help. */
export const forbids = ({ level, waits }: Finding): boolean => level === 'fatal' && !waits
