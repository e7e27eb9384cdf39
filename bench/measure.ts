/*
 * Runs one cell: a warm-up of every lane, then rounds in which the lanes take turns (pass-through, subject, and the
 * subject at another number of connections where the cell asks for it). Each round gives a ratio against its own neighbour in
 * time; the median of the ratios is the figure, so a machine that is busy with something else moves both sides.
 */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Cell } from './cells.ts'
import { cpuSeconds, peakMegabytes, type Running } from './process.ts'
import { openStand, type StandOptions } from './subject.ts'
import { BenchError, type Tools } from './tools.ts'

export interface Effort {
  readonly rounds: number
  readonly seconds: number
  /** Seconds of load before the first round, for each lane. */
  readonly warmUp: number
}

/** One lane over all its rounds: medians, except errors. */
export interface Figures {
  readonly messagesPerSecond: number
  readonly p50: number
  readonly p99: number
  /** CPU seconds of the process in the middle, per 1,000 messages. */
  readonly cpu: number
  readonly loadCpu: number
  readonly sinkCpu: number
  readonly messages: number
}

export interface CellResult {
  readonly cell: Cell
  readonly subject: Figures
  readonly baseline: Figures
  readonly peakMegabytes: number
  readonly baselinePeakMegabytes: number
  /** CPU of the subject over CPU of the pass-through, median of the rounds, and its extremes. */
  readonly ratio: number
  readonly ratioRange: readonly [number, number]
  readonly speedRatio: number
  /** CPU over that of the same chain at `beside.connections`. */
  readonly besideRatio?: number
}

interface Sample {
  readonly messages: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpu: number
  readonly loadCpu: number
  readonly sinkCpu: number
}

interface LoadReport {
  readonly messages: number
  readonly errors: number
  readonly stalled: boolean
  readonly early: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpu: number
}

const run = promisify(execFile)
const SETTLE_MS = 100

/** Everything is bounded: the generator ends by itself, and is killed if it does not. */
async function load(tools: Tools, args: readonly string[], seconds: number): Promise<LoadReport> {
  try {
    const { stdout } = await run(tools.load, args, { timeout: (seconds + 60) * 1000 })
    return JSON.parse(stdout)
  } catch (error) {
    const output = (error as { stdout?: string; stderr?: string }).stdout
    throw new BenchError(`the load generator failed: ${output || (error as Error).message}`)
  }
}

export async function measure(
  tools: Tools,
  cell: Cell,
  effort: Effort,
  options: Omit<StandOptions, 'chain'> & { readonly load: readonly string[] },
): Promise<CellResult> {
  const stand = await openStand(tools, { ...options, chain: cell.chain })
  try {
    const sample = async (middle: Running, address: string, connections: number, seconds: number): Promise<Sample> => {
      const before = [cpuSeconds(middle.pid), cpuSeconds(stand.sink.pid)] as const
      const shape = ['--connections', connections, '--seconds', seconds, '--body', cell.body].map(String)
      const args = ['--to', address, ...shape, ...options.load]
      const report = await load(tools, args, seconds).catch(error => {
        throw new BenchError(`${cell.name}, ${middle.name}: ${error.message}\n${middle.output()}`)
      })
      await sleep(SETTLE_MS)
      if (middle.exited()) throw new BenchError(`${cell.name}: ${middle.name} died\n${middle.output()}`)
      const thousands = report.messages / 1000
      return {
        messages: report.messages,
        perSecond: report.perSecond,
        p50: report.p50,
        p99: report.p99,
        cpu: (cpuSeconds(middle.pid) - before[0]) / thousands,
        sinkCpu: (cpuSeconds(stand.sink.pid) - before[1]) / thousands,
        loadCpu: report.cpu / thousands,
      }
    }
    const lanes = [
      (seconds: number) => sample(stand.baseline, stand.baselineAddress, cell.connections, seconds),
      (seconds: number) => sample(stand.subject, stand.subjectAddress, cell.connections, seconds),
    ]
    const { beside } = cell
    if (beside) lanes.push(seconds => sample(stand.subject, stand.subjectAddress, beside.connections, seconds))
    for (const lane of lanes) await lane(effort.warmUp)
    const rounds: Sample[][] = []
    for (let i = 0; i < effort.rounds; i++) {
      const round: Sample[] = []
      // Forward, then backward, so that no lane always has the same neighbour before it.
      const order = i % 2 === 0 ? [...lanes.keys()] : [...lanes.keys()].toReversed()
      for (const at of order) round[at] = await lanes[at]!(effort.seconds)
      rounds.push(round)
    }
    const ratios = rounds.map(([baseline, subject]) => subject!.cpu / baseline!.cpu)
    return {
      cell,
      baseline: figures(rounds.map(round => round[0]!)),
      subject: figures(rounds.map(round => round[1]!)),
      peakMegabytes: peakMegabytes(stand.subject.pid),
      baselinePeakMegabytes: peakMegabytes(stand.baseline.pid),
      ratio: median(ratios),
      ratioRange: [Math.min(...ratios), Math.max(...ratios)],
      speedRatio: median(rounds.map(([baseline, subject]) => subject!.perSecond / baseline!.perSecond)),
      ...(beside ? { besideRatio: median(rounds.map(round => round[1]!.cpu / round[2]!.cpu)) } : {}),
    }
  } finally {
    await stand.close()
  }
}

function figures(samples: readonly Sample[]): Figures {
  const middle = (pick: (sample: Sample) => number): number => median(samples.map(pick))
  return {
    messagesPerSecond: middle(s => s.perSecond),
    p50: middle(s => s.p50),
    p99: middle(s => s.p99),
    cpu: middle(s => s.cpu),
    loadCpu: middle(s => s.loadCpu),
    sinkCpu: middle(s => s.sinkCpu),
    messages: samples.reduce((sum, s) => sum + s.messages, 0),
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}
