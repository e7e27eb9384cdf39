import { expect, test } from 'vitest'
import { Keys } from '../src/keys.ts'

const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex')

test('keys are the same in every release: stores live longer than one', () => {
  const keys = new Keys('a secret')
  expect(hex(keys.origin('d:example.org'))).toBe('b9a7977a79f4773cfcbfec77')
  expect(hex(keys.domain('example.org'))).toBe('ae074954cd303d06')
  expect(hex(keys.tuple('a@example.org', 'b@example.net'))).toBe('3addeecb9c7a1fc3')
})

test('another secret, another kind or another cut of the same letters gives another key', () => {
  const keys = new Keys('a secret')
  const all = [
    keys.tuple('ab', 'c'),
    keys.tuple('a', 'bc'),
    keys.tuple('', 'abc'),
    keys.domain('abc'),
    keys.origin('abc').subarray(0, 8),
    new Keys('another').domain('abc'),
  ].map(hex)
  expect(new Set(all).size).toBe(all.length)
})

test('text and bytes are the same secret', () => {
  expect(new Keys('x').domain('a')).toEqual(new Keys(Buffer.from('x')).domain('a'))
})

test('the share is spread over 0 to 1 and always the same', () => {
  const keys = new Keys('s')
  const shares = Array.from({ length: 400 }, (_, i) => keys.share(keys.origin(`n:${i}`), keys.domain('a')))
  expect(Math.min(...shares)).toBeLessThan(0.1)
  expect(Math.max(...shares)).toBeGreaterThan(0.9)
  expect(shares.every(share => share >= 0 && share <= 1)).toBe(true)
  expect(keys.share(keys.origin('n:1'), keys.domain('a'))).toBe(shares[1])
})
