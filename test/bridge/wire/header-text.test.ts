import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headerFromWire, headerNameFault, headerToWire, headerValueFault } from '../../../src/bridge/wire/index.ts'
import { text } from './arbitrary.ts'

describe('header names', () => {
  it.each(['X', 'X-Foo', 'Subject', '!#$%&~'])('may be %j', name => {
    expect(headerNameFault(name)).toBeNull()
  })

  it.each(['', 'X:', 'X Foo', ' X', 'X\t', 'X\r\nY', 'X\n', 'caf\xe9', 'X\0', 'X\x7f', '€'])('may not be %j', name => {
    expect(headerNameFault(name)).toMatch(/^the name /)
  })
})

describe('header values', () => {
  it.each(['', ' ', 'x', 'a\n b\n\tc', 'caf\xc3\xa9', 'a\n \n b', '\n x', 'x'.repeat(100_000)])('may be %j', value => {
    expect(headerValueFault(value)).toBeNull()
  })

  it.each([
    ['a\0b', 'NUL'],
    ['a\r\n b', 'CR'],
    ['a\rb', 'CR'],
    ['a\nb', 'LF'],
    ['a\n', 'LF'],
    ['a\n\n b', 'LF'],
    ['€', 'U\\+00FF'],
  ])('may not be %j', (value, word) => {
    expect(headerValueFault(value)).toMatch(new RegExp(`^the value .*${word}`))
  })
})

describe('the leading space', () => {
  it('stands on the wire with HDR_LEADSPC', () => {
    for (const value of ['', 'no', ' a', '  b', '\tc']) {
      expect(headerFromWire(value, true)).toBe(value)
      expect(headerToWire(value, true)).toBe(value)
    }
  })

  it('is left out on the wire without it, exactly one', () => {
    expect(headerToWire(' a', false)).toBe('a')
    expect(headerToWire('  two', false)).toBe(' two')
    expect(headerToWire('\tv', false)).toBe('\tv')
    expect(headerToWire('v', false)).toBe('v')
    expect(headerFromWire('a', false)).toBe(' a')
    expect(headerFromWire(' two', false)).toBe('  two')
  })

  it('makes every value come back to the wire as it came', () => {
    fc.assert(
      fc.property(text, fc.boolean(), (value, leadingSpace) => {
        expect(headerToWire(headerFromWire(value, leadingSpace), leadingSpace)).toBe(value)
      }),
    )
  })
})
