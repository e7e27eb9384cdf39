/** What is signed here verifies here, and what was changed does not. */
import { describe, expect, it } from 'vitest'
import { MESSAGE, results, sign, verify } from './support/play.ts'

describe('signed here, verified here', () => {
  const ways = ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'] as const
  it.each(ways.flatMap(way => (['rsa', 'ed'] as const).map(key => [way, key] as const)))(
    '%s with %s',
    async (way, key) => {
      const signed = await sign(MESSAGE, { keys: [key], sign: { canonicalization: way } })
      const delivered = await verify(signed)
      expect(results(delivered, 'dkim')).toEqual([
        expect.stringMatching(`^dkim=pass header.d=example.org header.s=${key} `),
      ])
      expect(results(delivered, 'dmarc')).toEqual(['dmarc=pass header.from=example.org policy.dmarc=reject'])
    },
  )

  it('several signatures, each with its own result', async () => {
    const signed = await sign(MESSAGE, { keys: ['rsa', 'ed'] })
    expect(signed.match(/^DKIM-Signature:/gm)).toHaveLength(2)
    expect(results(await verify(signed), 'dkim')).toEqual([
      expect.stringContaining('header.s=rsa header.a=rsa-sha256'),
      expect.stringContaining('header.s=ed header.a=ed25519-sha256'),
    ])
  })
})
