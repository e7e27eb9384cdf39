import { describe, expect, it } from 'vitest'
import { parseSize } from '../../../src/host/config/size.ts'

describe('a size', () => {
  it.each([
    ['256KiB', 262_144],
    ['10MB', 10_000_000],
    ['1 GiB', 1_073_741_824],
    ['64k', 65_536],
    ['1.5M', 1_572_864],
    ['100', 100],
    ['100b', 100],
    [0, 0],
    [4096, 4096],
  ])('%j is %d bytes', (written, bytes) => {
    expect(parseSize(written)).toBe(bytes)
  })

  it.each([['1XB'], ['many'], [''], [-1], [1.5], [Number.NaN], ['99999999GiB'], [null], [true], ['constructor']])(
    '%j is refused',
    written => {
      expect(() => parseSize(written)).toThrow(/^must be a size such as "256KiB", "10MB" or a number of bytes, not /)
    },
  )
})
