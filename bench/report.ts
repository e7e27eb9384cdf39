/*
 * The table of the bench and its verdicts: for each cell the pass-through's line and the subject's, the ratio, and
 * whether a goal is met. Formatting only.
 */
import type { CellResult, Figures } from './measure.ts'

export interface Verdict {
  readonly text: string
  readonly goal: number
  readonly value: number
  readonly met: boolean
}

const COLUMNS = [
  'cell',
  'msg/s',
  'p50 ms',
  'p99 ms',
  'CPU-s/1000',
  'peak MB',
  'CPU ratio (min-max)',
  'msg/s ratio',
  'goal',
]
const WIDTHS = [26, 8, 8, 8, 11, 8, 20, 12, 0]

export function heading(): string {
  return row(COLUMNS)
}

export function lines(result: CellResult): string {
  const [low, high] = result.ratioRange
  return [
    row([
      `${result.cell.name}`,
      ...speeds(result.subject),
      result.peakMegabytes.toFixed(0),
      `${fixed(result.ratio)} (${fixed(low)}-${fixed(high)})`,
      fixed(result.speedRatio),
      verdicts(result)
        .map(one => `${one.text} ${one.met ? 'met' : 'MISSED'}`)
        .join(', '),
    ]),
    row(['  pass-through', ...speeds(result.baseline), result.baselinePeakMegabytes.toFixed(0), '1', '1', '']),
  ].join('\n')
}

/** The tools must be cheaper than what they measure, or the figures are theirs. */
export function toolCost(results: readonly CellResult[]): string {
  const dear = results.filter(({ baseline }) => Math.max(baseline.loadCpu, baseline.sinkCpu) >= baseline.cpu)
  const share = (pick: (figures: Figures) => number): string => {
    const shares = results.map(({ baseline }) => pick(baseline) / baseline.cpu)
    return `${fixed(Math.min(...shares))}-${fixed(Math.max(...shares))}`
  }
  const text = `tools, in CPU of the pass-through: generator ${share(f => f.loadCpu)}, sink ${share(f => f.sinkCpu)}`
  if (dear.length === 0) return text
  return `${text}\nWARNING: a tool cost more than the pass-through in ${dear.map(one => one.cell.name).join(', ')}`
}

export function verdicts(result: CellResult): Verdict[] {
  const found: Verdict[] = []
  const { goal, beside } = result.cell
  if (goal !== undefined) found.push({ text: `≤ ${goal}`, goal, value: result.ratio, met: result.ratio <= goal })
  if (beside !== undefined && result.besideRatio !== undefined) {
    const value = result.besideRatio
    found.push({
      text: `${fixed(value)} × c${beside.connections}, ≤ ${beside.goal}`,
      goal: beside.goal,
      value,
      met: value <= beside.goal,
    })
  }
  return found
}

function speeds(figures: Figures): string[] {
  return [figures.messagesPerSecond.toFixed(0), figures.p50.toFixed(1), figures.p99.toFixed(1), figures.cpu.toFixed(3)]
}

function fixed(value: number): string {
  return value.toFixed(2)
}

function row(cells: readonly string[]): string {
  return cells
    .map((text, i) => (i === 0 ? text.padEnd(WIDTHS[i]!) : `  ${text.padStart(WIDTHS[i]!)}`))
    .join('')
    .trimEnd()
}
