import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { authorsOf } from '../src/from.ts'

const authors = (...values: string[]): unknown => {
  const found = authorsOf(values)
  return found.kind === 'authors' ? found.authors.map(({ address }) => address) : found.reason
}

describe('the author of a message', () => {
  it.each([
    ['ann@example.org', ['ann@example.org']],
    ['Ann <ann@Example.ORG.>', ['ann@example.org']],
    ['"Smith, Ann; (the) <boss>" <ann@example.org>', ['ann@example.org']],
    ['Ann (of "Ex; <ample>" \\) (nested)) <ann@example.org> (bye)', ['ann@example.org']],
    ['"ann smith"@example.org', ['"ann smith"@example.org']],
    ['=?utf-8?q?bank=40bank=2Eexample?= <ann@example.org>', ['ann@example.org']],
    ['ann@example.org, bob@example.org', ['ann@example.org', 'bob@example.org']],
    ['Staff: ann@example.org, bob@example.org;', ['ann@example.org', 'bob@example.org']],
    ['Ann\r\n <ann@example.org>', ['ann@example.org']],
    ['John Q. Public <j.q.public@example.org>', ['j.q.public@example.org']],
    ['Änn <änn@exämple.org>', ['änn@xn--exmple-cua.org']],
    ['ann@example.org <ann@example.org>', ['ann@example.org']],
  ])('of %j is known', (value, expected) => {
    expect(authors(value)).toEqual(expected)
  })

  it.each([
    ['', 'no address in From'],
    ['undisclosed:;', 'no address in From'],
    ['ann@example.org, eve@evil.example', '2 domains in From'],
    ['ceo@bank.example <eve@evil.example>', 'a name in From that is another address'],
    ['ann@example.org <eve@evil.example', 'an address in From that cannot be read'],
    ['<@bank.example:eve@evil.example>', 'an address in From that cannot be read'],
    ['ann@bank.example@evil.example', 'a From field that is no address'],
    ['"ann@bank.example', 'a quote in From that does not end'],
    ['(ann@bank.example', 'a comment in From that does not end'],
    ['Staff: ann@example.org', 'a group in From that does not end'],
    ['ann@[192.0.2.1]', 'a domain in From that is none'],
    ['ann@example.org(.bank.example', 'a comment in From that does not end'],
    ['ann@exam\0ple.org', 'a control character in From'],
    ['ann@example.org\rFrom: eve@evil.example', 'a control character in From'],
    ['ann@-..example', 'a domain in From that is none'],
    ['Ann', 'a From field that is no address'],
    ['<ann@example.org> <eve@evil.example>', 'an address in From with something behind it'],
    ['x'.repeat(20_000), 'the From field is too long'],
  ])('of %j is nobody: %s', (value, reason) => {
    expect(authors(value)).toBe(reason)
  })

  it('is nobody without a From field, or with two', () => {
    expect(authors()).toBe('no From field')
    expect(authors('ann@example.org', 'ann@example.org')).toBe('2 From fields')
  })

  it('whatever the field holds, there is an answer, and its domains are clean', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.constantFrom('a', '@', '<', '>', '"', '(', ')', ',', ':', ';', '\\', '.', ' ', '[', ']', 'b.example'))
        .map(a => a.join('')),
    )
    fc.assert(
      fc.property(text, value => {
        const found = authorsOf([value])
        if (found.kind === 'authors')
          for (const { domain } of found.authors) expect(domain).toMatch(/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/)
        else expect(found.reason).not.toBe('')
      }),
      { numRuns: 500 },
    )
  })

  it('is found at a bounded cost', () => {
    const began = process.cpuUsage()
    for (const piece of ['(', '"', '\\', '<', 'a@b,', 'a:', ';', ' ', '[', '@', 'x'])
      expect(authorsOf([piece.repeat(16_000 / piece.length)]).kind).toBeTypeOf('string')
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(500)
  })
})
