/** What `top` shows: stages, lines over time, executors, decisions, as high as the terminal is. Pure. */
import { bounds } from '../actors/config.ts'
import { shardLines } from '../supervisor/divided.ts'
import { clockTime, number, plural, span } from '../supervisor/figures.ts'
import type { Sample } from '../supervisor/measurements.ts'
import type { ActorReport, DecisionReport } from '../supervisor/status.ts'
import type { Line } from './lines.ts'
import type { Look } from './look.ts'
import { type Series, seriesOf, sparkline } from './sparkline.ts'
import {
  executorRows,
  hostRows,
  known,
  limitsText,
  nameText,
  perSecond,
  statePiece,
  watermarkText,
} from './text.ts'

export interface Board extends Look {
  /** Oldest first. */
  samples: readonly Sample[]
  /** Newest first. */
  decisions: readonly DecisionReport[]
  /** Of all kinds, for the stages. */
  actors: readonly ActorReport[]
  /** What is wrong with looking itself, such as that Redis is away; null for nothing. */
  trouble: string | null
}

export interface Size {
  columns: number
  rows: number
}

export const STEP_MS = 1_000
/** Cells beside a sparkline: its name, and what is true now. */
const SPARK_LABEL = 11
const SPARK_VALUE = 22
/** As long as `59 min 59 s ago`. */
const AGO_LABEL = 17
/** Decisions have at least so many lines, if there are any, however many executors there are. */
const DECISIONS_LEAST = 3

/** So many seconds of samples are shown. */
export const sparkCells = ({ columns }: Size): number =>
  Math.max(10, columns - SPARK_LABEL - SPARK_VALUE)

/** Lines from the top, never more than the terminal has. */
export function boardLines(board: Board, size: Size): Line[] {
  const head = [...headLines(board), [], ...stageLines(board), [], ...sparkLines(board, size), []]
  const room = Math.max(0, size.rows - head.length - 1)
  const hosts = hostRows(board.status).map(headerBold)
  const executors = [...hosts, ...executorRows(board.executors).map(headerBold)]
  const decided = board.decisions.length === 0 ? 0 : Math.min(room, DECISIONS_LEAST + 1)
  const shown = cutLines(executors, room - decided - 1)
  const left = Math.max(0, room - shown.length - 1)
  const lines = [...head, ...shown, [], ...decisionLines(board, left)]
  return lines.slice(0, size.rows - 1)
}

function headLines({ status, trouble }: Board): Line[] {
  const reason = status.reason === null ? '' : `, ${status.reason}`
  return [
    [
      { text: nameText(status), colour: 'bold' },
      ` from ${status.topic}: `,
      statePiece(status),
      `${reason}  ${clockTime(Date.parse(status.at))}  `,
      { text: 'q ends', colour: 'dim' },
    ],
    trouble === null
      ? [{ text: 'watermark  ', colour: 'dim' }, watermarkText(status)]
      : [{ text: trouble, colour: 'red' }],
  ]
}

/** Data's way, a stage a line: what is there, and what comes out of it. */
function stageLines({ status, actors, cost }: Board): Line[] {
  const { backlog, rates, totals, executors, latencyMs } = status
  const bridges = actors.filter(({ kind, state }) => kind === 'bridge' && state === 'running')
  const saved = cost.savedShare === null ? '' : `, ${(cost.savedShare * 100).toFixed(1)} % saved`
  const limits = limitsText(status)
  const wrong: Line =
    totals.unaccounted === 0
      ? []
      : [{ text: `, unaccounted ${number(totals.unaccounted)}`, colour: 'red' }]
  return [
    stage('Kafka', `${known(backlog.kafkaLag, number)} behind`),
    stage('bridge', `${bridges.length} running, ${perSecond(rates.inPerSecond)}`),
    stage(
      'stream',
      `${number(backlog.records)} waiting, ${number(backlog.pending)} entries in hand`,
    ),
    ...shardLines(status.shards).map((text) => stage('', text)),
    stage('executors', `${executors.count}${limits === '' ? '' : ` (${limits})`}${saved}`),
    [
      ...stage('windows', `${perSecond(rates.outPerSecond)}, p50 ${known(latencyMs.p50, span)}, `),
      `p99 ${known(latencyMs.p99, span)}, late ${number(totals.late)}, `,
      `rejected ${number(totals.rejected)}`,
      ...wrong,
    ],
  ]
}

const stage = (name: string, text: string): Line => [
  { text: name.padEnd(SPARK_LABEL), colour: 'cyan' },
  text,
]

function sparkLines({ samples, status }: Board, size: Size): Line[] {
  const cells = sparkCells(size)
  const over = { to: Date.parse(status.at), cells, stepMs: STEP_MS }
  const series = (valueOf: Parameters<typeof seriesOf>[3]) =>
    // A silent job is measured once a minute.
    seriesOf(samples, over, bounds.measureSilentEveryMs + STEP_MS, valueOf)
  return [
    spark('backlog', series(backlogOf), number),
    spark('arriving', series(arrivingOf), (value) => `${number(Math.round(value))}/s`),
    spark(
      'executors',
      series(({ running }) => running),
      number,
    ),
  ]
}

const backlogOf = ({ waiting, kafkaLag }: Sample) => waiting + (kafkaLag ?? 0)

function arrivingOf(sample: Sample, before: Sample | null): number | null {
  if (!before || sample.arrived === null || before.arrived === null) return null
  const seconds = (sample.at - before.at) / 1_000
  return seconds > 0 ? Math.max(0, (sample.arrived - before.arrived) / seconds) : null
}

function spark(name: string, series: Series, text: (value: number) => string): Line {
  const now = series.at(-1) ?? null
  const most = Math.max(...series.map((value) => value ?? 0))
  return [
    { text: name.padEnd(SPARK_LABEL), colour: 'dim' },
    { text: sparkline(series), colour: 'cyan' },
    ` ${known(now, text)}, most ${text(most)}`,
  ]
}

const headerBold = (text: string, i: number): Line => [i === 0 ? { text, colour: 'bold' } : text]

/** As many as fit, the last of them saying how many do not. */
function cutLines(lines: readonly Line[], most: number): Line[] {
  if (lines.length <= most) return [...lines]
  const kept = Math.max(0, most - 1)
  return most <= 0 ? [] : [...lines.slice(0, kept), [`… and ${lines.length - kept} more`]]
}

function decisionLines({ decisions, status }: Board, most: number): Line[] {
  if (most < 2) return []
  const now = Date.parse(status.at)
  const lines = decisions
    .slice(0, most - 1)
    .map(
      ({ at, sentence, reason }): Line => [
        { text: `${span(now - Date.parse(at))} ago`.padEnd(AGO_LABEL), colour: 'dim' },
        `${sentence}  [${reason}]`,
      ],
    )
  const title = lines.length === 0 ? 'no decision yet' : plural(lines.length, 'last decision')
  return [[{ text: title, colour: 'bold' }], ...lines]
}
