import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AuthResult, authenticationResults, authResultFault } from '../../../src/host/authentication/result.ts'
import { encodeText } from '../../../src/host/bytes.ts'
import { headerValueFault } from '../../../src/host/plugin/rules.ts'

describe('an Authentication-Results field', () => {
  it('is written as RFC 8601 has it', () => {
    const results: AuthResult[] = [
      { method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 'ann@example.org', 'smtp.helo': undefined } },
      {
        method: 'dkim',
        result: 'fail',
        reason: 'signature verification failed',
        properties: { 'header.d': 'a.example' },
      },
      { method: 'auth', result: 'pass', properties: { 'smtp.auth': 'ann' } },
    ]
    expect(authenticationResults('mx.example.com', results)).toBe(
      'mx.example.com;\n\tspf=pass smtp.mailfrom=ann@example.org;\n\tdkim=fail reason="signature verification failed" header.d=a.example;\n\tauth=pass smtp.auth=ann',
    )
    expect(authenticationResults('mx.example.com', [])).toBe('mx.example.com; none')
  })

  it('folds between properties, never within one', () => {
    const properties = Object.fromEntries(['a', 'b', 'c', 'd'].map(name => [`header.${name}`, name.repeat(40)]))
    const lines = authenticationResults('mx', [{ method: 'dkim', result: 'pass', properties }]).split('\n')
    expect(lines.every(line => line.length <= 78)).toBe(true)
    expect(lines.length).toBe(5)
  })

  it.each([
    ['a forged result', 'x; dkim=pass header.d=bank.example', '"x; dkim=pass header.d=bank.example"'],
    ['a comment', 'example.net(.example.com', '"example.net(.example.com"'],
    ['a line break', 'x\r\nSubject: y', '"x??Subject: y"'],
    ['a NUL', 'x\0y', '"x?y"'],
    ['a quote and a backslash', 'a"b\\', '"a\\"b\\\\"'],
    ['an override of direction', 'abc\u202egro.elpmaxe', '"abc?gro.elpmaxe"'],
    ['a lone surrogate', 'a\ud800', '"a?"'],
    ['nothing', '', '""'],
    ['an address of another script', 'ünï@exämple.org', '"ünï@exämple.org"'],
  ])('quotes %s', (_what, given, written) => {
    const text = authenticationResults('mx', [
      { method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': given } },
    ])
    expect(text).toBe(`mx;\n\tspf=pass smtp.mailfrom=${written}`)
  })

  it('cuts a value that is longer than any address', () => {
    const text = authenticationResults('mx', [{ method: 'spf', result: 'pass', reason: 'x'.repeat(100_000) }])
    expect(text.length).toBeLessThan(600)
  })

  it('whatever the values are, it reads back as exactly what was written', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 60 })
    fc.assert(
      fc.property(fc.array(fc.record({ reason: anything, value: anything }), { minLength: 1, maxLength: 4 }), given => {
        const results = given.map(({ reason, value }) => ({
          method: 'spf',
          result: 'fail',
          reason,
          properties: { 'smtp.mailfrom': value },
        }))
        const text = authenticationResults('mx', results)
        expect(headerValueFault(encodeText(` ${text}`))).toBeNull()
        const outside = text.replaceAll(/"(?:[^"\\]|\\.)*"/gsu, 'Q')
        expect(outside.split(';').length).toBe(results.length + 1)
        expect(outside).not.toMatch(/["()\\]/)
      }),
    )
  })

  it.each([
    [null, 'method'],
    [{ method: 'spf' }, 'result'],
    [{ method: 'spf; dkim', result: 'pass' }, 'method'],
    [{ method: 'spf', result: 'pass smtp.mailfrom=x' }, 'result'],
    [{ method: 'spf', result: 'pass', reason: 7 }, 'reason'],
    [{ method: 'spf', result: 'pass', properties: { mailfrom: 'x' } }, 'ptype.property'],
    [{ method: 'spf', result: 'pass', properties: { 'smtp.mail=x': 'y' } }, 'ptype.property'],
    [{ method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 7 } }, 'smtp.mailfrom must be text'],
  ])('refuses %j', (given, what) => {
    expect(authResultFault(given)).toContain(what)
  })
})
