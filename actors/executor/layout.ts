/**
 * A layout: how records that one program writes look, byte by byte, but for their values. Learned from
 * one record's text; a record that repeats its fixed parts is read without taking the rest of it
 * apart (scan.ts). Pure.
 *
 *   {"timestamp":  1764115200.5  ,"course":  "Linear Algebra"  ,"last_error":  null  }
 *   └─ before ──┘  └─ value ──┘  └ before ┘  └── value ─────┘  └── before ──┘        └ after
 */
export interface Layout {
  fields: { name: string; before: Buffer }[]
  after: Buffer
}

/** More would make more code than it saves time. */
const FIELDS_MAX = 64

const space = String.raw`[ \t\n\r]*`
const before = new RegExp(String.raw`${space}[{,]${space}"([^"\\]*)"${space}:${space}`, 'y')
const value = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null/y
const after = new RegExp(String.raw`${space}\}${space}$`, 'y')

/**
 * The layout of a text that is known to be JSON; null where it is no flat object: a value that is an
 * object or a list, a name that is escaped, or there twice.
 */
export function layoutOf(text: string): Layout | null {
  const fields: Layout['fields'] = []
  let at = 0
  for (;;) {
    const end = match(after, text, at)
    if (end && fields.length > 0) return { fields, after: Buffer.from(end[0]) }
    const part = match(before, text, at)
    const name = part?.[1]
    if (name === undefined || fields.some((field) => field.name === name)) return null
    const found = match(value, text, at + part![0].length)
    if (!found || fields.length === FIELDS_MAX) return null
    fields.push({ name, before: Buffer.from(part![0]) })
    at += part![0].length + found[0].length
  }
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}
