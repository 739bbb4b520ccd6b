/**
 * A strict reader of Prometheus's text format, beside promtool: throws at the first thing that the
 * format or the conventions of names do not allow.
 */

export interface Sample {
  /** The family's name, or that with _bucket, _sum or _count. */
  name: string
  labels: Record<string, string>
  value: number
}

export interface Family {
  name: string
  type: string
  help: string
  samples: Sample[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"'
const NUMBER = '[+-]?(?:\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|Inf)|NaN'
const help = new RegExp(`^# HELP (${NAME}) (.+)$`)
const kind = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`)
const line = new RegExp(`^(${NAME})(?:\\{((?:${LABEL},?)+)\\})? (${NUMBER})$`)

/** Families by name, in their order. */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const families = new Map<string, Family>()
  const series = new Set<string>()
  let helped: { name: string; text: string } | null = null
  let family: Family | null = null
  for (const each of text.split('\n')) {
    if (each === '') continue
    const told = help.exec(each)
    const typed = kind.exec(each)
    if (told) {
      if (families.has(told[1]!)) throw new Error(`a second HELP of ${told[1]}`)
      helped = { name: told[1]!, text: told[2]! }
    } else if (typed) {
      const [, name, type] = typed
      if (helped?.name !== name) throw new Error(`TYPE of ${name} without its HELP before it`)
      family = { name: name!, type: type!, help: helped!.text, samples: [] }
      families.set(name!, family)
    } else {
      const sample = sampleOf(each)
      if (!family || !belongs(sample, family)) throw new Error(`no TYPE before ${each}`)
      const pairs = Object.entries(sample.labels).map((pair) => JSON.stringify(pair))
      const identity = [sample.name, ...pairs.toSorted()].join()
      if (series.has(identity)) throw new Error(`twice: ${each}`)
      series.add(identity)
      family.samples.push(sample)
    }
  }
  for (const one of families.values()) checkFamily(one)
  return families
}

function sampleOf(text: string): Sample {
  const found = line.exec(text)
  if (!found) throw new Error(`not a sample: ${text}`)
  const pairs = [...(found[2] ?? '').matchAll(new RegExp(LABEL, 'g'))]
  const labels = Object.fromEntries(pairs.map(([, name, value]) => [name, value]))
  if (Object.keys(labels).length !== pairs.length) throw new Error(`a label twice: ${text}`)
  return { name: found[1]!, labels, value: numberOf(found.at(-1)!) }
}

const numberOf = (text: string): number => Number(text.replace('Inf', 'Infinity'))

function belongs({ name }: Sample, { name: family, type }: Family): boolean {
  if (type !== 'histogram') return name === family
  return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name)
}

function checkFamily(family: Family): void {
  const { name, type, samples } = family
  if (samples.length === 0) throw new Error(`${name} has no sample`)
  if (name.endsWith('_total') !== (type === 'counter')) throw new Error(`_total or not: ${name}`)
  const base = /_(milliseconds|ms|minutes|hours|kilobytes|kb|mb|mib|percent|count|sum|bucket)(_|$)/i
  if (base.test(name)) throw new Error(`not a base unit, or a suffix of histograms: ${name}`)
  const negative = samples.find(({ value }) => type !== 'gauge' && !(value >= 0))
  if (negative) throw new Error(`${name} counts ${negative.value}`)
  if (type === 'histogram') checkHistogram(family)
}

function checkHistogram({ name, samples }: Family): void {
  const withoutLe = ({ labels }: Sample) =>
    JSON.stringify(Object.entries(labels).filter(([label]) => label !== 'le'))
  for (const [labels, own] of Map.groupBy(samples, withoutLe)) {
    const where = `${name} ${labels}`
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`)
    const bounds = buckets.map((bucket) => numberOf(bucket.labels.le ?? ''))
    if (!ascends(bounds, 1)) throw new Error(`bounds of ${where}: ${bounds.join()}`)
    if (bounds.at(-1) !== Infinity) throw new Error(`${where} has no bucket +Inf`)
    const counts = buckets.map(({ value }) => value)
    if (!ascends(counts, 0)) throw new Error(`${where} is not cumulative: ${counts.join()}`)
    const one = (suffix: string) => own.filter((sample) => sample.name === `${name}_${suffix}`)
    if (one('count').length !== 1 || one('sum').length !== 1) throw new Error(`parts of ${where}`)
    if (one('count')[0]!.value !== counts.at(-1)) throw new Error(`+Inf is not the count: ${where}`)
  }
}

/** Each by more than nothing (1), or not less (0), than the one before; false for what is no number. */
const ascends = (numbers: readonly number[], by: 0 | 1): boolean =>
  numbers.every((each, k) => {
    const before = k === 0 ? -Infinity : numbers[k - 1]!
    return by === 1 ? each > before : each >= before
  })
