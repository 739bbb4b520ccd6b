/**
 * What the page costs and how it feels.
 *
 *   cost    a filled topic at full speed, with no page and with many open ones, in turn → CPU by process
 *   shown   one record at a time: from its commit in Redis until the page has it
 *   frames  100 groups at 1,000 records/s: how long the browser takes from one frame to the next
 *
 * Open pages are connections to /api/events here: what each of ten browsers would be to the server. Tabs of
 * one browser share one.
 *
 *   bun bench/page.ts
 */
import { type Browser, chromium, type Page } from 'playwright-core'
import { seededRandom, systemClock } from '../actors/clock.ts'
import { readConfig } from '../actors/config.ts'
import { RefusalError, runMain } from '../actors/errors.ts'
import { parseFlags, wholeNumberFlag } from '../actors/flags.ts'
import { kafkaClient } from '../actors/kafka-client.ts'
import { ensureTopic } from '../actors/producer/topic.ts'
import { chromiumFlags } from '../demo/chromium.ts'
import { until } from '../faults/until.ts'
import { ensureChromium } from '../services/chromium.ts'
import { createProgress } from '../cli/progress.ts'
import { fillTopic } from './fill.ts'
import { playFilled, type Run } from './growth/play.ts'
import { base, topicOf } from './growth/series.ts'
import { machineFacts, machineText } from './machine.ts'
import { type Own, withOwn } from './own.ts'
import { percentilesOf } from './percentiles.ts'
import { type Pipeline, startLoad, startPipeline, untilCaughtUp, untilRunning } from './pipeline.ts'
import { versionsOf } from './versions.ts'

const command = {
  help: `
bun bench/page.ts [options]

Measures what open pages cost a pipeline at full speed, how soon a commit is on the page, and how smooth
the page is, with a Kafka, a Redis and a Chromium of its own.

  --count N     records of the filled topic (4000000)
  --pages N     open pages (10)
  --rounds N    runs with and without pages, each (2)
  --probes N    records whose way to the page is timed (60)
  --seconds N   how long frames are watched (30)
  --help        this text`,
  options: {
    count: { type: 'string' },
    pages: { type: 'string' },
    rounds: { type: 'string' },
    probes: { type: 'string' },
    seconds: { type: 'string' },
  },
} as const

/** Between two probes, ms: at no fixed phase to the server's looks. */
const PROBE_EVERY_MS = { from: 200, to: 1_400 }
const FRAME_LOAD = { rate: 1_000, groups: 100 }
const SPAN_MS = 60_000

await runMain('page', async () => {
  const { values } = parseFlags(command)
  const number = (name: keyof typeof values, fallback: number, to: number) =>
    wholeNumberFlag(name, values[name], { from: 1, to }) ?? fallback
  const count = number('count', 4_000_000, 100_000_000)
  const pages = number('pages', 10, 32)
  const rounds = number('rounds', 2, 20)
  const program = await ensureChromium(createProgress())
  if (!program) throw new RefusalError('no Chromium here: install one (apt-get install chromium)')
  return withOwn(async (own) => {
    console.log(machineText(machineFacts(), await versionsOf(own.services)))
    await costs(own, { count, pages, rounds })
    const browser = await chromium.launch({ executablePath: program, args: chromiumFlags })
    try {
      await shown(own, browser, number('probes', 60, 10_000))
      await frames(own, browser, number('seconds', 30, 3_600))
    } finally {
      await browser.close()
    }
    return 0
  })
})

/** In turn, so that what the machine does besides is in both. */
async function costs(
  own: Own,
  { count, pages, rounds }: { count: number; pages: number; rounds: number },
): Promise<void> {
  const config = readConfig({ ...own.services.environment })
  await fillTopic({
    config,
    topic: topicOf(base),
    count,
    partitions: base.partitions,
    spanMs: SPAN_MS,
    signal: own.stopping,
  })
  const runs = { none: [] as Run[], open: [] as Run[] }
  for (let round = 0; round < rounds; round++) {
    runs.none.push(await playFilled(own, base, count))
    const over = new AbortController()
    const open = ({ url }: Pipeline) => {
      for (let i = 0; i < pages; i++) void listen(`${url}/api/events`, over.signal)
    }
    runs.open.push(await playFilled(own, base, count, open).finally(() => over.abort()))
  }
  console.log(
    `\n${count} records at full speed, medians of ${rounds} runs each; CPU in µs a record`,
  )
  console.log(costText('no page', runs.none))
  console.log(costText(`${pages} pages`, runs.open))
}

/** Reads events as they come, as a page would; connects again while the server is not up yet. */
async function listen(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const { body } = await fetch(url, { signal })
      for await (const _ of body ?? []) if (signal.aborted) return
    } catch {
      await systemClock.sleep(50, signal)
    }
  }
}

function costText(label: string, runs: readonly Run[]): string {
  const median = (values: number[]) => percentilesOf(values).p50
  const names = Object.keys(runs[0]!.cpuMicros)
  const cpu = names.map(
    (name) => [name, median(runs.map((run) => run.cpuMicros[name] ?? 0))] as const,
  )
  const sum = median(runs.map((run) => Object.values(run.cpuMicros).reduce((a, b) => a + b, 0)))
  const parts = cpu.map(([name, micros]) => `${name} ${micros.toFixed(3)}`).join(', ')
  const pace = Math.round(median(runs.map((run) => run.recordsPerSecond))).toLocaleString('en')
  return `  ${label.padEnd(10)} ${pace}/s, ${sum.toFixed(3)} µs: ${parts}`
}

async function withPage(
  own: Own,
  browser: Browser,
  work: (pipeline: Pipeline, page: Page, topic: string) => Promise<void>,
): Promise<void> {
  const topic = `page-${systemClock.now()}`
  await ensureTopic(
    kafkaClient(readConfig({ ...own.services.environment }), 'millrace-page'),
    topic,
    4,
  )
  const job = { file: 'bench/jobs/growth.ts', name: 'growth' }
  const environment = { BENCH_TOPIC: topic }
  const pipeline = await startPipeline(own, { job, executors: 1, from: 'earliest', environment })
  const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } })
  try {
    await untilRunning(pipeline, 1)
    const up = () => fetch(`${pipeline.url}/healthz`).then(({ ok }) => ok)
    await until('the page to be served', up)
    await page.goto(pipeline.url)
    await page.locator('#state.running').waitFor()
    await work(pipeline, page, topic)
  } finally {
    await page.close()
    await pipeline.end()
  }
}

/** From the look at Redis that sees a commit, 2 ms apart, to the change of the number on the page. */
function shown(own: Own, browser: Browser, probes: number): Promise<void> {
  return withPage(own, browser, async (pipeline, page, topic) => {
    const { producer, send } = await probe(own, topic)
    const random = seededRandom(1)
    const delays: number[] = []
    for (let i = 1; i <= probes; i++) {
      const { from, to } = PROBE_EVERY_MS
      await systemClock.sleep(from + random() * (to - from))
      const seen = page.evaluate(changeOf, String(i))
      await send()
      const committed = async () => (await pipeline.snapshot()).totals.counted >= i
      await until('the commit', committed, { everyMs: 2 })
      const committedAt = systemClock.now()
      delays.push((await seen) - committedAt)
    }
    await producer.disconnect()
    const { p50, p99, max } = percentilesOf(delays)
    const ms = [p50, p99, max].map((value) => value.toFixed(0))
    console.log(
      `\nfrom the commit to the page, ${probes} records: median ${ms[0]}, p99 ${ms[1]}, longest ${ms[2]} ms`,
    )
  })
}

/** In the page: resolves with the time at which the number is the wanted one. */
function changeOf(wanted: string): Promise<number> {
  const element = document.getElementById('counted')!
  return new Promise((resolve) => {
    const look = () => {
      if (element.textContent !== wanted) return
      observer.disconnect()
      resolve(Date.now())
    }
    const observer = new MutationObserver(look)
    observer.observe(element, { childList: true, characterData: true, subtree: true })
    look()
  })
}

async function probe(own: Own, topic: string) {
  const kafka = kafkaClient(readConfig({ ...own.services.environment }), 'millrace-page')
  const producer = kafka.producer()
  await producer.connect()
  const record = () => ({
    timestamp: systemClock.now() / 1_000,
    student_id: 'CS-1',
    student_name: 'probe',
    course: 'Operating Systems',
    activity: 'coding',
    tool_used: 'vim',
    lines_of_code: 1,
    last_error: null,
    cpu_usage_pct: 1,
  })
  const send = () => producer.send({ topic, messages: [{ value: JSON.stringify(record()) }] })
  return { producer, send }
}

function frames(own: Own, browser: Browser, seconds: number): Promise<void> {
  return withPage(own, browser, async (pipeline, page, topic) => {
    const load = startLoad(own, { topic, partitions: 4, ...FRAME_LOAD })
    // All windows that are open at a time are there after the watermark's delay and a window.
    await systemClock.sleep(20_000)
    const times = await page.evaluate(framesOf, seconds * 1_000)
    await load.end()
    await untilCaughtUp(pipeline, 60_000)
    const { p50, p99, p999, max } = percentilesOf(times)
    const late = times.filter((ms) => ms > 50).length
    console.log(
      `\nframes over ${seconds} s, ${FRAME_LOAD.groups} groups, ${FRAME_LOAD.rate} records/s: median ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, p99.9 ${p999.toFixed(1)}, longest ${max.toFixed(0)} ms; ${late} of ${times.length} over 50 ms`,
    )
  })
}

/** In the page: ms between frames. */
function framesOf(spanMs: number): Promise<number[]> {
  return new Promise((resolve) => {
    const times: number[] = []
    const began = performance.now()
    let last = began
    const frame = (now: number) => {
      times.push(now - last)
      last = now
      if (now - began < spanMs) requestAnimationFrame(frame)
      else resolve(times.slice(1))
    }
    requestAnimationFrame(frame)
  })
}
