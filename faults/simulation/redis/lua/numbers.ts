/** Numbers as text and back, as C and Lua 5.1 write and read them. */

/** C's %.<precision>g. */
export function general(value: number, precision: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 10 ** Math.min(precision, 15)) {
    return Object.is(value, -0) ? '-0' : String(value)
  }
  if (!Number.isFinite(value)) return special(value)
  const [digits, exponent] = value.toExponential(precision - 1).split('e') as [string, string]
  const power = Number(exponent)
  if (power < -4 || power >= precision) {
    const sign = power < 0 ? '-' : '+'
    return `${trim(digits)}e${sign}${String(Math.abs(power)).padStart(2, '0')}`
  }
  return trim(value.toFixed(Math.max(0, precision - 1 - power)))
}

/** C's %.0f: halves go to the even neighbour, and all digits are written. */
export function whole(value: number): string {
  if (!Number.isFinite(value)) return special(value)
  const down = Math.floor(value)
  const rest = value - down
  const rounded = rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down
  if (rounded === 0) return value < 0 || Object.is(value, -0) ? '-0' : '0'
  return Number.isSafeInteger(rounded) ? String(rounded) : String(BigInt(rounded))
}

/** Lua's tostring. */
export const numberText = (value: number): string => general(value, 14)

const decimal = /^[ \t\n\v\f\r]*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[ \t\n\v\f\r]*$/
const oddities =
  /^[ \t\n\v\f\r]*([-+]?)(?:(inf(?:inity)?)|(nan)|0[xX]([0-9a-fA-F]+))[ \t\n\v\f\r]*$/i

/** Lua's tonumber of a string: strtod with spaces around it. */
export function numberOf(text: string): number | undefined {
  if (isPlain(text) || decimal.test(text)) return Number(text)
  const [, sign, infinite, nan, hex] = oddities.exec(text) ?? []
  const size = infinite ? Infinity : nan ? Number.NaN : hex ? Number.parseInt(hex, 16) : undefined
  return size !== undefined && sign === '-' ? -size : size
}

/** The usual case, without the cost of a regular expression. */
function isPlain(text: string): boolean {
  const { length } = text
  if (length === 0 || length > 15) return false
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code < 48 || code > 57) return false
  }
  return true
}

const trim = (digits: string): string =>
  digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits

function special(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  return value > 0 ? 'inf' : '-inf'
}
