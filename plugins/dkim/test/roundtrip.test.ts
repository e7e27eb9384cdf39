/** What is signed here verifies here, and what was changed does not. */
import { describe, expect, it } from 'vitest'
import { parsePrivateKey } from '../src/sign/keys.ts'
import { MessageSigner } from '../src/sign/signer.ts'
import { BoundedVerifier } from '../src/verify/verifier.ts'
import { ED25519, RSA } from './support/keys.ts'
import { MESSAGE, NOW, results, sign, verify } from './support/play.ts'

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

describe('30 MB, read piece by piece', () => {
  const line = 'Text  with blanks \t and what else a line may hold, until it is long enough. \r\n\r\n'
  const stock = Buffer.from(line.repeat(1000))
  function* pieces(change = -1): Generator<Uint8Array> {
    // As the host reads a body for a plugin that keeps nothing: each piece lies where the one before it lay.
    const piece = new Uint8Array(65_535 - line.length)
    for (let sent = 0; sent < 30_000_000; sent += 65_535 - line.length) {
      const at = sent % line.length
      piece.set(stock.subarray(at, at + piece.length))
      if (change >= sent && change < sent + piece.length) piece[change - sent] = 0x21
      yield piece
    }
  }
  const field = (text: string): { key: string; casedKey: string; line: Buffer } => {
    const casedKey = text.slice(0, text.indexOf(':'))
    return { key: casedKey.toLowerCase(), casedKey, line: Buffer.from(text, 'latin1') }
  }
  const fields = [field('From: Ann <ann@example.org>'), field('Subject:  large \r\n\tand  folded')]
  const keys = { rsa: RSA, ed: ED25519 }

  async function verified(signatures: readonly string[], change?: number): Promise<(string | undefined)[]> {
    const top = signatures.map(value => field(`DKIM-Signature:${value.replaceAll('\n', '\r\n')}`))
    const resolver = async (name: string): Promise<string[][]> => [[keys[name.split('.')[0] as 'rsa' | 'ed'].record]]
    const options = { resolver, minKeyBits: 1024, maxSignatures: 10, now: NOW, seals: false }
    const verifier = new BoundedVerifier([...top, ...fields], options)
    verifier.begin()
    for (const piece of pieces(change)) verifier.update(piece)
    await verifier.finalChunk()
    return verifier.results.map(({ status }) => status.result)
  }

  it('all canonicalizations, RSA and Ed25519, pass; one byte changed at the end fails them all', async () => {
    const values: string[] = []
    for (const canonicalization of ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'] as const) {
      const signer = new MessageSigner(fields, { canonicalization, headers: ['From', 'Subject'], oversign: ['From'] })
      for (const piece of pieces()) signer.update(piece)
      const signing = Object.entries(keys).map(([selector, { pem }]) => ({
        ...parsePrivateKey(pem),
        domain: 'example.org',
        selector,
      }))
      values.push(...signer.finish(signing, NOW))
    }
    expect(values).toHaveLength(8)
    expect(await verified(values)).toEqual(values.map(() => 'pass'))
    expect(new Set(await verified(values, 29_999_999))).toEqual(new Set(['fail']))
  }, 60_000)
})
