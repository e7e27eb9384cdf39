/**
 * A body of which only the size matters: what stands in a recording for words that were left out.
 */
import type { ScenarioStep } from './scenario.ts'

type Size = Pick<Extract<ScenarioStep, { kind: 'filler' }>, 'bytes' | 'lines'>

/** Text with LF line ends that has `bytes` bytes and `lines` lines when each line ends with CRLF, as nearly as that can be. */
export function fillerText({ bytes, lines }: Size): string {
  if (lines === 0) return 'x'.repeat(bytes)
  const words = Math.max(0, bytes - 2 * lines)
  const length = Math.floor(words / lines)
  return `${`${'x'.repeat(length)}\n`.repeat(lines - 1)}${'x'.repeat(words - length * (lines - 1))}\n`
}
