import { describe, expect, it } from 'vitest'
import { claims, forgedFields } from '../../../src/host/authentication/forged.ts'

const OURS = new Set(['mx.example.com'])

describe('a field claims to be ours', () => {
  it.each([
    ' mx.example.com; dkim=pass',
    ' MX.Example.COM; dkim=pass',
    ' mx.example.com',
    ' mx.example.com 1; spf=pass',
    ' mx.example.com/7A3; spf=pass',
    ' mx.example.com.; spf=pass',
    '\n\tmx.example.com\n\t; spf=pass',
    ' (ha; (ha)) mx.example.com (version) 1; spf=pass',
    ' mx.(in the middle)example.com; spf=pass',
    ' "mx.example.com"; spf=pass',
    ' "mx.\\example.com"; spf=pass',
    ' mx.example .com; spf=pass',
    ' \0mx.example.com\x7f; spf=pass',
    ' (never closed mx.example.com; spf=pass',
    ' "mx.example.com; spf=pass',
  ])('%j', value => {
    expect(claims(value, OURS)).toBe(true)
  })

  it.each([
    ' mx.example.org; dkim=pass',
    ' mx.example.com.evil.example; dkim=pass',
    ' mx.example.community; dkim=pass',
    ' mx.example.com2; dkim=pass',
    ' relay.example; dkim=pass header.d=mx.example.com',
    ' relay.example (mx.example.com); dkim=pass',
    '',
    ' ;',
  ])('but not %j', value => {
    expect(claims(value, OURS)).toBe(false)
  })

  it('at a bounded cost', () => {
    const began = process.cpuUsage()
    for (const piece of ['(', ')', '"', '\\', ';', ' ', '/', 'mx.example.com('])
      expect(claims(piece.repeat(1_000_000), OURS)).toBeTypeOf('boolean')
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(500)
  })
})

it('fields are removed from the last back to the first, each by its own spelling', () => {
  const field = (name: string, value: string, id: number): { id: number; name: string; value: string } => ({
    id,
    name,
    value,
  })
  const headers = [
    field('Authentication-Results', ' mx.example.com; a=b', 0),
    field('authentication-results', ' other.example; a=b', 1),
    field('AUTHENTICATION-RESULTS', ' mx.example.com; c=d', 2),
    field('Authentication-Results ', ' mx.example.com; c=d', 3),
    field('X-Authentication-Results', ' mx.example.com; c=d', 4),
  ]
  expect(forgedFields(headers, OURS)).toEqual([
    { kind: 'removeHeader', name: 'Authentication-Results ', occurrence: 1 },
    { kind: 'removeHeader', name: 'AUTHENTICATION-RESULTS', occurrence: 3 },
    { kind: 'removeHeader', name: 'Authentication-Results', occurrence: 1 },
  ])
})
