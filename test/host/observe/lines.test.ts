import { beforeEach, describe, expect, test } from 'vitest'
import { LogLines } from '../../../src/host/observe/lines.ts'
import { type FakeClock, fakeClock } from '../../../src/testing/clock.ts'

let clock: FakeClock
let writes: string[]
let lines: LogLines

beforeEach(() => {
  clock = fakeClock()
  writes = []
  lines = new LogLines(clock, text => writes.push(text))
})

describe('log lines', () => {
  test('that come slowly are written at once', async () => {
    for (const line of ['a\n', 'b\n', 'c\n']) {
      lines.add(line)
      expect(writes.at(-1)).toBe(line)
      await clock.advance('10ms')
    }
    expect(writes).toEqual(['a\n', 'b\n', 'c\n'])
  })

  test('that come fast are written together, 10 ms after the last write, in their order', async () => {
    lines.add('a\n')
    await clock.advance('4ms')
    lines.add('b\n')
    lines.add('c\n')
    await clock.advance('5ms')
    expect(writes).toEqual(['a\n'])
    await clock.advance('1ms')
    expect(writes).toEqual(['a\n', 'b\nc\n'])
    lines.add('d\n')
    await clock.advance('10ms')
    expect(writes).toEqual(['a\n', 'b\nc\n', 'd\n'])
  })

  test('are not held when there are many', () => {
    const long = `${'x'.repeat(9_999)}\n`
    for (let i = 0; i < 20; i++) lines.add(long)
    expect(writes.length).toBeGreaterThan(1)
    lines.flush()
    expect(writes.join('')).toBe(long.repeat(20))
  })

  test('are there when the process ends, and not twice', async () => {
    lines.add('a\n')
    lines.add('b\n')
    lines.flush()
    await clock.advance('100ms')
    lines.flush()
    expect(writes).toEqual(['a\n', 'b\n'])
  })
})
