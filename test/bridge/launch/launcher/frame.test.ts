import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Answer,
  decodeRequest,
  encodeAnswer,
  FRAME,
  RESULTS,
  STATES,
} from '../../../../src/bridge/launch/launcher/frame.ts'
import { permitted } from '../../../../src/bridge/launch/launcher/server.ts'
import { decodeAnswer, encodeRequest } from '../../../../src/bridge/launch/launcher-frame.ts'

const request = encodeRequest({ operation: 'start', number: 7, id: 'opendkim' })
const changed = (at: number, value: number): Buffer => {
  const frame = Buffer.from(request)
  frame[at] = value
  return frame
}
const withId = (id: string): Buffer => encodeRequest({ operation: 'start', number: 0, id })

describe('a request', () => {
  test('is read as it was written', () => {
    expect(request.length).toBe(FRAME.size)
    expect(decodeRequest(request)).toEqual({ operation: 'start', number: 7, id: 'opendkim' })
    for (const operation of ['stop', 'restart', 'status'] as const) {
      const written = { operation, number: 0xffffffff, id: 'x'.repeat(48) }
      expect(decodeRequest(encodeRequest(written))).toEqual(written)
    }
  })

  test.each<[string, Buffer]>([
    ['another magic', changed(0, 0x6d)],
    ['another version', changed(2, 2)],
    ['no operation', changed(3, 0)],
    ['an operation that there is not', changed(3, 5)],
    ['a length beyond the id', changed(8, 49)],
    ['a length of zero', changed(8, 0)],
    ['a length shorter than its id', changed(8, 7)],
    ['something after the id', changed(63, 1)],
    ['a NUL in the id', changed(10, 0)],
    ['a path for an id', withId('../bin/sh')],
    ['a slash in the id', withId('a/b')],
    ['an option for an id', withId('--help')],
    ['a space in the id', withId('a b')],
    ['a line end in the id', withId('a\n')],
    ['bytes that are no text', withId('a\xff')],
    ['too few bytes', request.subarray(0, 63)],
    ['too many bytes', Buffer.concat([request, Buffer.alloc(1)])],
    ['nothing', Buffer.alloc(0)],
    [
      'an answer',
      encodeAnswer({ number: 1, result: 'done', state: 'running', own: true, pid: 1, last: null, wait: 0 }),
    ],
  ])('with %s is none', (_, frame) => {
    expect(decodeRequest(frame)).toBeNull()
  })
})

describe('an answer', () => {
  const answer: fc.Arbitrary<Answer> = fc.record({
    number: fc.nat({ max: 0xffffffff }),
    result: fc.constantFrom(...RESULTS),
    state: fc.constantFrom(...STATES),
    own: fc.boolean(),
    pid: fc.option(fc.integer({ min: 1, max: 0x7fffffff })),
    last: fc.option(fc.record({ exit: fc.nat({ max: 255 }), signal: fc.nat({ max: 64 }) })),
    wait: fc.nat({ max: 60_000 }),
  })

  test('is read as it was written', () => {
    fc.assert(
      fc.property(answer, written => {
        expect(decodeAnswer(encodeAnswer(written))).toEqual(written)
      }),
    )
  })

  test.each([
    ['a request', request],
    ['zeros', Buffer.alloc(64)],
    ['too little', encodeAnswer(fc.sample(answer, 1)[0]!).subarray(0, 40)],
  ])('is not %s', (_, frame) => {
    expect(decodeAnswer(frame)).toBeNull()
  })
})

describe('10,000,000 random frames', () => {
  // xorshift32: the same frames each time, in the seconds that a test may take.
  let seed = 0x9e3779b9
  const random = (): number => {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return seed >>> 0
  }
  const entries = new Map([
    ['opendkim', { systemd: 'opendkim.service' }],
    ['a', { command: ['/bin/a'], user: 'nobody' }],
    ['x'.repeat(48), { service: 'x' }],
  ])
  // What is allowed, written down byte for byte and not by the code under test: all but the number must be so.
  const allowed = new Set<string>()
  for (const id of entries.keys()) {
    for (const operation of [1, 2, 3, 4]) {
      const head = Buffer.from([0x4d, 0x4c, 1, operation, 0, 0, 0, 0, id.length])
      allowed.add(Buffer.concat([head, Buffer.from(id), Buffer.alloc(55 - id.length)]).toString('latin1'))
    }
  }
  const seeds = [...allowed].map(text => Buffer.from(text, 'latin1'))

  test('ask for nothing that the entries do not allow', { timeout: 300_000 }, () => {
    const words = new Uint32Array(16)
    const frame = Buffer.from(words.buffer)
    let asked = 0
    let wrong = 0
    for (let i = 0; i < 10_000_000; i++) {
      if (i % 4 === 0) for (let at = 0; at < 16; at++) words[at] = random()
      else {
        // Nearly right: one that is allowed, with up to three bytes that are not.
        seeds[random() % seeds.length]!.copy(frame)
        words[1] = random()
        for (let left = i % 4 === 1 ? 0 : (random() % 3) + 1; left > 0; left--) frame[random() % 64] = random()
      }
      const given = permitted(frame, entries)
      if (given === null || given[1] === null) continue
      asked++
      words[1] = 0
      if (!allowed.has(frame.toString('latin1')) || given[1] !== entries.get(given[0].id)) wrong++
    }
    expect(wrong).toBe(0)
    expect(asked).toBeGreaterThan(2_500_000)
    expect(asked).toBeLessThan(5_000_000)
  })
})
