/** Numbers as text and back, as C and Lua 5.1 write and read them. */

/** C's %.<precision>g. */
export function general(value: number, precision: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 10 ** Math.min(precision, 15)) {
    return Object.is(value, -0) ? '-0' : String(value)
  }
  if (!Number.isFinite(value)) return special(value)
  const [digits, exponent] = rounded(value, precision)
  if (exponent < -4 || exponent >= precision) {
    const power = String(Math.abs(exponent)).padStart(2, '0')
    const text = trim(`${sign(value)}${digits[0]}.${digits.slice(1)}`)
    return `${text}e${exponent < 0 ? '-' : '+'}${power}`
  }
  if (exponent < 0) return trim(`${sign(value)}0.${'0'.repeat(-1 - exponent)}${digits}`)
  return trim(`${sign(value)}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`)
}

const sign = (value: number): string => (value < 0 ? '-' : '')

/** Significant digits and the exponent of the first; a tie goes to the even digit, as in C. */
function rounded(value: number, precision: number): [digits: string, exponent: number] {
  const size = Math.abs(value)
  const [mantissa, exponent] = size.toExponential(precision - 1).split('e') as [string, string]
  // oxlint-disable-next-line number-arg-out-of-range -- it may be 100 by now
  const exact = size.toExponential(60)
  const cut = precision + 1
  const tied = /^50*$/.test(exact.slice(cut, exact.indexOf('e')))
  const even = tied && Number(exact[cut - 1]) % 2 === 0
  const chosen = even ? exact.slice(0, cut) : mantissa
  return [chosen.replace('.', ''), even ? Number(exact.split('e')[1]) : Number(exponent)]
}

/** C's %.0f: halves go to the even neighbour, and all digits are written. */
export function whole(value: number): string {
  if (Number.isSafeInteger(value) && value !== 0) return String(value)
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
