/** Names of metrics in an expression. */

/** Histograms are named by what rate() takes. */
export function metricsIn(expression: string): string[] {
  const names = expression.match(/\bmillrace_\w+/g) ?? []
  return [...new Set(names)].sort()
}
