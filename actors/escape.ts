/**
 * What the world wrote, made safe to show: it must not write to a terminal, or into a log, what it
 * likes. Pure.
 */

/** Control characters (C0, C1), what reverses or hides text, line separators, lone surrogates. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** With what is not safe to show as its code points. */
export const escaped = (text: string): string =>
  text.replace(unsafe, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)

/** JSON, which says the same with what is not safe to show escaped as JSON has it. */
export const escapedJson = (json: string): string =>
  json.replace(unsafe, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )

/** At most so many UTF-16 units, the last of them an ellipsis; never half a character. */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text
  const kept = text.slice(0, most - 1)
  const last = kept.charCodeAt(kept.length - 1)
  return `${last >= 0xd800 && last < 0xdc00 ? kept.slice(0, -1) : kept}…`
}
