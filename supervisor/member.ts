/** One child as its ward knows it: how far it is, and how far its end has been pressed. */
import type { Child } from './child.ts'

/** How far a child is, and how far its end has been pressed. */
export const stages = {
  /** It waits to be let begin, and counts for nothing. */
  warm: 'warm',
  live: 'live',
  asked: 'asked',
  terminated: 'terminated',
  killed: 'killed',
} as const

export interface Member {
  child: Child
  stage: (typeof stages)[keyof typeof stages]
  /** When its stage began, by the monotonic clock. */
  stageAt: number
  /** Since when it is ours, by the same. */
  since: number
  /** It was started warm; whether it has been let begin. What has not begun is in no register. */
  warm: boolean
  begun: boolean
  /** Why we ended it; null where we did not. */
  ending: string | null
  /** Its end by our hand counts as a crash: it was stuck, or used too much memory. */
  atFault: boolean
  /** What was noted of its hand while it was late, as text. */
  noted: string
}

export const newMember = (
  child: Child,
  stage: 'live' | 'warm',
  stageAt: number,
  warm: boolean,
): Member => ({
  child,
  stage,
  stageAt,
  since: stageAt,
  warm,
  begun: !warm,
  ending: null,
  atFault: false,
  noted: '',
})
