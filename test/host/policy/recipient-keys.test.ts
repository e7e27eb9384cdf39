import { describe, expect, test } from 'vitest'
import { bytesOf } from '../../../src/host/bytes.ts'
import { EnvelopeAddress } from '../../../src/host/plugin/address.ts'
import { findFirst, recipientKeys } from '../../../src/host/policy/recipient-keys.ts'
import { bench, guardedLookup, never } from './support.ts'

const keysOf = (path: string, delimiter?: string): readonly string[] =>
  recipientKeys(new EnvelopeAddress(bytesOf(path).toString('latin1')), delimiter === undefined ? {} : { delimiter })

test.each([
  ['<user@example.org>', ['user@example.org', 'example.org', 'org', '*']],
  [
    '<User+Lists@MX.Example.org>',
    ['user+lists@mx.example.org', 'user@mx.example.org', 'mx.example.org', 'example.org', 'org', '*'],
  ],
  ['<+box@example.org>', ['+box@example.org', 'example.org', 'org', '*']],
  ['<postmaster+x@a>', ['postmaster+x@a', 'postmaster@a', 'a', '*']],
  ['<MAILER-DAEMON@a>', ['mailer-daemon@a', 'a', '*']],
  ['<postmaster>', ['postmaster', '*']],
  ['<>', ['', '*']],
  ['<"a b"@example.org>', ['a b@example.org', 'example.org', 'org', '*']],
  ['<a@[192.0.2.1]>', ['a@[192.0.2.1]', '[192.0.2.1]', '*']],
  ['<a@example.org.>', ['a@example.org.', 'example.org.', 'org.', '*']],
])('%s is looked up as %o', (path, keys) => {
  expect(keysOf(path)).toEqual(keys)
})

test('any of several delimiters begins the extension, or none does', () => {
  expect(keysOf('<a-b+c@d>', '+-')).toEqual(['a-b+c@d', 'a@d', 'd', '*'])
  expect(keysOf('<a+b@d>', '')).toEqual(['a+b@d', 'd', '*'])
})

test('a domain of a hundred labels costs no hundred look-ups', () => {
  expect(keysOf(`<a@${'x.'.repeat(100)}org>`).length).toBeLessThan(15)
})

describe('the first key that has an answer counts', () => {
  const table: Readonly<Record<string, string>> = { 'user@d': 'one', d: 'two', '*': 'all' }

  test('asked of a table in memory, it answers in the same tick and asks no further', async () => {
    const { around } = bench()
    const asked: string[] = []
    const lookup = await guardedLookup(around, key => (asked.push(key) > 0 ? (table[key] ?? null) : null), {
      cache: false,
    })
    expect(findFirst(lookup, ['x@d', 'user@d', 'd', '*'], never)).toMatchObject({ value: 'one', key: 'user@d' })
    expect(asked).toEqual(['x@d', 'user@d'])
    expect(findFirst(lookup, ['x', 'y'], never)).toMatchObject({ value: null, key: 'x' })
  })

  test('asked over the network, all keys are asked at once', async () => {
    const { around } = bench()
    const waiting = new Map<string, PromiseWithResolvers<string | null>>()
    const get = (key: string): Promise<string | null> => {
      const call = Promise.withResolvers<string | null>()
      waiting.set(key, call)
      return call.promise
    }
    const lookup = await guardedLookup(around, get)
    const found = findFirst(lookup, ['x@d', 'd', '*'], never)
    expect([...waiting.keys()]).toEqual(['x@d', 'd', '*'])
    waiting.get('*')!.resolve('all')
    waiting.get('x@d')!.resolve(null)
    waiting.get('d')!.resolve('two')
    expect(await found).toMatchObject({ value: 'two', key: 'd' })
  })

  test('an error counts unless an earlier key has an answer', async () => {
    const { around } = bench()
    const get = async (key: string): Promise<string | null> => {
      if (key === 'd') throw new Error('down')
      return table[key] ?? null
    }
    const lookup = await guardedLookup(around, get, { cache: false })
    expect(await findFirst(lookup, ['user@d', 'd', '*'], never)).toMatchObject({ value: 'one' })
    await expect(Promise.resolve(findFirst(lookup, ['x@d', 'd', '*'], never))).rejects.toThrow('down')
  })
})
