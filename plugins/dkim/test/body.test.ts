/** The body hash of ours beside mailauth's, and the memory that a body of 100 MB takes. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { RelaxedHash as Reference } from 'mailauth/lib/dkim/body/relaxed.js'
import { describe, expect, it } from 'vitest'
import { RelaxedHash } from '../src/body/relaxed.ts'

interface Sums {
  readonly hash: string
  readonly lengths: readonly number[]
}

type Hasher = RelaxedHash | Reference

function sums(hasher: Hasher, pieces: readonly Uint8Array[]): Sums {
  for (const piece of pieces) hasher.update(piece)
  const hash = hasher.digest('base64')
  return { hash, lengths: [hasher.byteLength, hasher.canonicalizedLength, hasher.bodyHashedBytes] }
}

const ours = (pieces: readonly Uint8Array[], limit?: number): Sums => sums(new RelaxedHash('sha256', limit), pieces)
const theirs = (pieces: readonly Uint8Array[], limit?: number): Sums => sums(new Reference('sha256', limit), pieces)

/** A small generator with a seed (a linear congruence), so that a failure is seen again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const ATOMS = [
  'a',
  'bc',
  'word ',
  ' ',
  '  ',
  '\t',
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  '\0',
  'ä',
  '.\r\n',
  ' \r\n',
  'x'.repeat(40),
]

describe('the relaxed body hash', () => {
  it.each([
    ['', ''],
    ['\r\n\r\n', ''],
    [' \t \r\n', ''],
    [' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
    ['no line end', 'no line end\r\n'],
    ['blank at the end ', 'blank at the end\r\n'],
    ['a\nb', 'a\r\nb\r\n'],
    ['a\r b \r\r\n', 'a\r b \r\r\n'],
    ['\r\n\r\n a', '\r\n\r\n a\r\n'],
  ])('of %j is that of %j', (body, canonical) => {
    expect(ours([Buffer.from(body)]).hash).toBe(createHash('sha256').update(canonical).digest('base64'))
  })

  it("is mailauth's, for any body in any pieces, with any l=", () => {
    const next = random(6376)
    for (let round = 0; round < 3000; round++) {
      const body = Buffer.from(Array.from({ length: next(60) }, () => ATOMS[next(ATOMS.length)]!).join(''))
      const limit = next(3) === 0 ? next(80) : undefined
      const pieces: Buffer[] = []
      for (let at = 0; at < body.length; ) {
        const end = at + 1 + next(next(2) === 0 ? 4 : 80)
        pieces.push(body.subarray(at, end))
        at = end
      }
      // In one piece: mailauth takes a CR for the end of a line, when a piece begins with its LF.
      expect(ours(pieces, limit), JSON.stringify(body.toString())).toEqual(theirs([body], limit))
    }
  })

  it('is the same for long runs of what is held back and of what is gathered', () => {
    const body = Buffer.from(
      `${'\r\n'.repeat(5000)}${' '.repeat(70_000)}x${'y'.repeat(50_000)}\t\r\n${'z \r\n'.repeat(9000)}end`,
    )
    for (const size of [1, 7, 16_384, 65_535, body.length]) {
      const pieces = Array.from({ length: Math.ceil(body.length / size) }, (_, i) =>
        body.subarray(i * size, (i + 1) * size),
      )
      expect(ours(pieces)).toEqual(theirs([body]))
    }
  })
})

it('100 MB are signed and verified in 48 MiB more than nothing is', async () => {
  const script = fileURLToPath(new URL('./support/large.ts', import.meta.url))
  const peak = async (megabytes: number): Promise<number> => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, String(megabytes)])
    const { result, peakKiB } = JSON.parse(stdout) as { result: string; peakKiB: number }
    expect(result).toBe('pass')
    return peakKiB
  }
  expect((await peak(100)) - (await peak(0))).toBeLessThan(48 * 1024)
}, 120_000)
