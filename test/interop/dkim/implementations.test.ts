// Signatures made here verify with OpenDKIM and dkimpy, and theirs here: all canonicalizations, RSA and Ed25519, small and large.

import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ED25519, folder, RSA } from '../../../plugins/dkim/test/support/keys.ts'
import { MESSAGE, results, sign, verify } from '../../../plugins/dkim/test/support/play.ts'
import { requirePrograms } from '../harness/index.ts'
import { dkimpy, type Job, type OpenDkim, opendkim } from './tools.ts'

const TXT = { 'rsa._domainkey.example.org': RSA.record, 'ed._domainkey.example.org': ED25519.record }
const ways = ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'] as const

/** Text with all that canonicalization is about, up to a size. */
function letter(size: number): string {
  const odd = 'Trailing blanks  \t\r\nruns   of \t blanks\r\n.dots\r\n\r\n\r\n=C3=A4 Grüße\r\n'
  const head = MESSAGE.replace(
    'Subject: hello',
    'Subject:  folded\r\n\t subject  with   blanks \r\nX-Other:nothing before',
  ).split('\r\n\r\n')[0]!
  const body = odd.repeat(Math.ceil(size / odd.length))
  return `${head}\r\n\r\n${Buffer.from(body, 'utf8').toString('latin1')}\r\n\r\n`
}

const SIZES = { '10 KB': 10_000, '1 MB': 1_000_000 } as const
const LARGE = 30_000_000

/** The others' clocks cannot be told the time. */
const passed = async (message: string): Promise<string[]> =>
  results(await verify(message, { now: Date.now() }), 'dkim').map(result => result.split(' ')[0]!)

requirePrograms('opendkim-tools')('OpenDKIM', () => {
  let other: OpenDkim
  beforeAll(async () => {
    other = await opendkim(TXT)
  })

  describe.each(Object.entries(SIZES))('%s', (_size, bytes) => {
    it.each(ways)('takes our signature %s', async canonicalization => {
      const signed = await sign(letter(bytes), { sign: { canonicalization } })
      expect(await other.verify(signed)).toBeNull()
    })
  })

  it('takes our signature of 30 MB, and its own of 30 MB is taken here', async () => {
    const message = letter(30_000_000)
    expect(await other.verify(await sign(message, { sign: { canonicalization: 'relaxed/relaxed' } }))).toBeNull()
    const signed = await other.sign(message, { domain: 'example.org', selector: 'rsa', pem: RSA.pem })
    // It signs by rsa-sha1 and nothing else, which RFC 8301 forbids to take: what is left to see is that the body is the same.
    expect(await passed(signed)).toEqual(['dkim=policy'])
  })

  it('notices what was changed', async () => {
    const signed = await sign(letter(1000))
    expect(await other.verify(signed.replace('Trailing', 'Railing'))).not.toBeNull()
    expect(await other.verify(`Subject: another\r\n${signed}`)).not.toBeNull()
  })
})

requirePrograms('dkimpy')('dkimpy', () => {
  const kinds = ways.flatMap(way => (['rsa', 'ed'] as const).map(selector => ({ way, selector })))

  it.each(Object.entries(SIZES))(
    'takes our signatures of %s, all canonicalizations and algorithms',
    async (_size, bytes) => {
      const message = letter(bytes)
      const jobs: Job[] = []
      for (const { way: canonicalization, selector } of kinds)
        jobs.push({
          do: 'verify',
          message: await sign(message, { keys: [selector], sign: { canonicalization } }),
          txt: TXT,
        })
      const both = await sign(message, { keys: ['rsa', 'ed'] })
      jobs.push(
        { do: 'verify', message: both, txt: TXT },
        { do: 'verify', message: both.replace('blanks', 'blank'), txt: TXT },
      )
      expect(await dkimpy(jobs)).toEqual([...kinds.map(() => true), true, false])
    },
  )

  it.each(Object.entries(SIZES))('signs %s, and it is taken here', async (_size, bytes) => {
    const message = letter(bytes)
    const seed = ed25519Seed()
    const jobs = kinds.map(({ way, selector }): Job => {
      const c = way.split('/') as [string, string]
      const key = selector === 'rsa' ? { key: RSA.pem } : { key: seed, ed25519: true }
      return { do: 'sign', message, domain: 'example.org', selector, c, ...key }
    })
    for (const header of (await dkimpy(jobs)) as string[]) expect(await passed(header + message)).toEqual(['dkim=pass'])
  })
})

requirePrograms('dkimpy')('dkimpy, of large messages and of ARC', () => {
  it('takes our signature of 30 MB, and its own of 30 MB is taken here', async () => {
    const message = letter(LARGE)
    const [took, header] = await dkimpy([
      { do: 'verify', message: await sign(message, { keys: ['ed'] }), txt: TXT },
      { do: 'sign', message, domain: 'example.org', selector: 'rsa', key: RSA.pem, c: ['simple', 'simple'] },
    ])
    expect(took).toBe(true)
    expect(await passed(String(header) + message)).toEqual(['dkim=pass'])
  }, 300_000)

  it('finds our ARC seals whole: one, one on top of another, and not when the body was changed since', async () => {
    const file = join(folder({ seal: RSA.pem }), 'seal')
    const zone = { ...TXT, 's._domainkey.lists.example': RSA.record }
    const seal = async (message: string): Promise<string> => {
      const answers = Object.fromEntries(Object.entries(zone).map(([name, text]) => [name, { txt: [text] }]))
      const options = { arc: { seal: { domain: 'lists.example', selector: 's', file } } }
      const { message: sealed } = await verify(message, { now: Date.now(), zone: answers, options })
      const fields = sealed!.headers.filter(({ name }) => name.startsWith('ARC-')).slice(0, 3)
      return `${fields.map(({ name, value }) => `${name}: ${value.replaceAll('\n', '\r\n')}\r\n`).join('')}${message}`
    }
    const once = await seal(await sign(letter(1000), { now: Date.now() }))
    const twice = await seal(once)
    expect(twice.match(/^ARC-Seal:/gm)).toHaveLength(2)
    const changed = twice.replace('Trailing', 'Railing')
    const jobs = [once, twice, changed].map((message): Job => ({ do: 'arc', message, txt: zone }))
    expect((await dkimpy(jobs)).map(result => result === 'pass')).toEqual([true, true, false])
  })
})

/** dkimpy wants the bare 32 bytes. */
const ed25519Seed = (): string =>
  Buffer.from(ED25519.pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
    .subarray(-32)
    .toString('base64')
