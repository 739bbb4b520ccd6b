/**
 * What of a row can be a bar or a shade: aggregates whose value is one number, and each quantile of those
 * that have several. A measure is the aggregate's name, or its name and the quantile's.
 */
const BETWEEN = ' · '

/** [{ id, name }] of a job's aggregates. */
export function measuresOf(aggregates) {
  return aggregates.flatMap(({ name, kind, quantiles }) => {
    if (quantiles) return quantiles.map((quantile) => measureOf(name, quantile))
    return /^(count|sum|avg|min|max|distinct|own)$/.test(kind) ? [measureOf(name)] : []
  })
}

const measureOf = (name, quantile) => ({
  id: JSON.stringify(quantile === undefined ? [name] : [name, quantile]),
  name: quantile === undefined ? name : `${name}${BETWEEN}${quantile}`,
})

/** A row's number; null where it has none, or another value. */
export function valueOf(values, { id }) {
  const [name, quantile] = JSON.parse(id)
  const value = values[name]
  const one = quantile === undefined ? value : value?.[quantile]
  return typeof one === 'number' ? one : null
}

/** The number of records, if the job counts them; else the first. */
export function defaultMeasure(aggregates) {
  const counts = aggregates.find(({ kind }) => kind === 'count')
  return (counts && measureOf(counts.name)) ?? measuresOf(aggregates)[0] ?? measureOf('')
}
