/** The list of what verifiers and signers have got wrong before, one test an item. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { fakeClock, fakeDns, testConfig, testPlugin } from 'milterhost/testing'
import { describe, expect, it } from 'vitest'
import dkim from '../src/index.ts'
import { ED25519, folder, RSA } from './support/keys.ts'
import { MESSAGE, NOW, results, sign, verify, ZONE } from './support/play.ts'

const dmarc = (delivered: Parameters<typeof results>[0]): string | undefined => results(delivered, 'dmarc')[0]
const dkimOf = (delivered: Parameters<typeof results>[0]): string | undefined => results(delivered, 'dkim')[0]

/** Milliseconds of this process's CPU. */
async function cost(work: () => Promise<unknown>): Promise<number> {
  const began = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(began)
  return (user + system) / 1000
}

describe('identity and headers', () => {
  it('1: forged Authentication-Results are gone, fifty others stay', async () => {
    const forged = 'Authentication-Results: mx.example.com; dmarc=pass\r\n'
    const others = Array.from({ length: 50 }, (_, i) => `Authentication-Results: mx${i}.example.org; spf=pass\r\n`)
    const { message } = await verify(forged + others.slice(0, 25).join(forged) + others.slice(25).join('') + MESSAGE)
    const fields = message!.headers.filter(({ name }) => name === 'Authentication-Results').map(({ value }) => value)
    expect(fields).toHaveLength(51)
    expect(fields[0]).toMatch(/^mx\.example\.com;\n\tdkim=none/)
    expect(fields.slice(1).every((value, i) => value === `mx${i}.example.org; spf=pass`)).toBe(true)
  })

  it('3: control characters and comments in domains reach neither DNS nor the result', async () => {
    const signed = await sign(MESSAGE)
    for (const name of [
      'example.net(.example.com',
      'exa\tmple.org',
      'example.org;dkim=pass',
      'a"b.example',
      `${'a.'.repeat(200)}org`,
      'example..org',
    ]) {
      const dns = fakeDns(ZONE)
      await using host = await testPlugin(dkim(), { clock: fakeClock(NOW), dns })
      const delivered = await host.deliver({ message: signed.replace('d=example.org', `d=${name}`) })
      expect(dkimOf(delivered)).toMatch(
        /^dkim=(?:neutral|fail)(?: reason="[^"]*")?(?: header\.d=[a-z.]+)?(?: header\.[sab]=[^ ]+)*$/,
      )
      expect(dns.calls.every(call => /^[\w.-]+$/.test(call.name))).toBe(true)
    }
  })

  it.each([
    ['two addresses', 'From: ann@example.org, eve@evil.example', '2 domains in From'],
    ['no address', 'From: Ann', 'a From field that is no address'],
    ['two fields', 'From: ann@example.org\r\nFrom: ann@example.org', '2 From fields'],
    ['a field with a blank before the colon', 'From : eve@evil.example\r\nFrom: ann@example.org', '2 From fields'],
    ['no field', 'X-From: ann@example.org', 'no From field'],
  ])('4: From with %s gets a decision', async (_what, field, reason) => {
    const message = MESSAGE.replace(/^From: .*$/m, field)
    const open = await verify(message)
    expect(dmarc(open)).toContain(`dmarc=permerror reason="${reason}"`)
    expect(open.outcome).toBe('accept')
    const strict = await verify(message, { options: { dmarc: { badFrom: 'reject' } } })
    expect(strict.verdict).toMatchObject({ kind: 'reject', reply: { code: 550, enhanced: '5.7.1' } })
    expect((await verify(message, { options: { dmarc: { badFrom: 'quarantine' } } })).outcome).toBe('quarantine')
  })

  it('5: SPF is taken from this chain and never from a header; HELO only for the null sender', async () => {
    const header =
      'Received-SPF: pass\r\nAuthentication-Results: elsewhere.example; spf=pass smtp.mailfrom=example.org\r\n'
    expect(dmarc(await verify(header + MESSAGE))).toContain('dmarc=fail')
    const { definePlugin } = await import('milterhost/plugin')
    const outcome = async (from: string, spf: object): Promise<string | undefined> => {
      const before = definePlugin({
        name: 'spf',
        setup: () => ({ mail: event => event.publish({ name: 'spf' }, spf) }),
      })()
      await using host = await testConfig({ filters: [before, dkim()] }, { clock: fakeClock(NOW), dns: fakeDns(ZONE) })
      return dmarc(await host.deliver({ from, message: MESSAGE }))
    }
    const helo = { result: 'pass', domain: 'example.org', identity: 'helo' }
    expect(await outcome('ann@example.org', { ...helo, identity: 'mailfrom' })).toContain('dmarc=pass')
    expect(await outcome('ann@example.org', helo)).toContain('dmarc=fail')
    expect(await outcome('', helo)).toContain('dmarc=pass')
    expect(await outcome('ann@example.org', { ...helo, identity: 'mailfrom', result: 'softfail' })).toContain(
      'dmarc=fail',
    )
    expect(await outcome('ann@example.org', { ...helo, identity: 'mailfrom', domain: 'evil.example' })).toContain(
      'dmarc=fail',
    )
  })

  it('7: strict alignment is strict, relaxed is not', async () => {
    const signed = await sign(MESSAGE.replace('ann@example.org', 'ann@news.example.org'))
    const at = async (record: string): Promise<string | undefined> =>
      dmarc(await verify(signed, { zone: { ...ZONE, '_dmarc.example.org': { txt: [record] } } }))
    expect(await at('v=DMARC1; p=reject')).toContain('dmarc=pass')
    expect(await at('v=DMARC1; p=reject; adkim=s')).toContain('dmarc=fail')
  })

  it('7: tags named as what objects have are only tags', async () => {
    const crafted = '__proto__=x; constructor=y; toString=z; hasOwnProperty=0'
    const signed = await sign(MESSAGE)
    const hostile = await verify(signed.replace('v=1;', `v=1; ${crafted};`))
    expect(dkimOf(hostile)).toMatch(/^dkim=(?:neutral|fail)/)
    const txt = [`v=DMARC1; p=reject; ${crafted}; __proto__.p=none`]
    const forged = MESSAGE.replace('Text', 'Other')
    const delivered = await verify(forged, { zone: { ...ZONE, '_dmarc.example.org': { txt } } })
    expect(dmarc(delivered)).toContain('dmarc=fail header.from=example.org policy.dmarc=reject')
    expect(({} as Record<string, unknown>).p).toBeUndefined()
    expect(dkimOf(await verify(signed))).toContain('dkim=pass')
  })

  it('9: parts and boundaries of MIME change no result: all bytes count', async () => {
    const parts = '--a\r\n\r\nText\r\n--a--\r\n--b\r\n\r\nOther\r\n--b--\r\n'
    const mail = MESSAGE.replace('\r\n\r\n', '\r\nContent-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n')
    const signed = (await sign(mail + parts)) as string
    expect(dkimOf(await verify(signed))).toContain('dkim=pass')
    expect(dkimOf(await verify(signed.replace('Other', 'Evils')))).toContain('dkim=fail')
    expect(dkimOf(await verify(signed.replace('boundary=a; ', '')))).toContain('dkim=fail')
  })
})

describe('signatures', () => {
  it('6: rsa-sha1 is refused, and says so', async () => {
    const signed = (await sign(MESSAGE)).replace('a=rsa-sha256', 'a=rsa-sha1')
    expect(dkimOf(await verify(signed))).toMatch(/^dkim=(?:policy|fail)/)
  })

  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const small = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const recordOf = (key: KeyObject): string =>
    `v=DKIM1; k=rsa; p=${key.export({ type: 'spki', format: 'der' }).toString('base64')}`
  const oversized = (bits: number, exponent: string): KeyObject => {
    const n = Buffer.alloc(bits / 8, 0xcd).toString('base64url')
    return createPublicKey({ key: { kty: 'RSA', n, e: exponent }, format: 'jwk' })
  }

  it('6: keys that are too short or too large do not count', async () => {
    const path = folder({ key: small })
    const options = { sign: { keys: [{ domain: 'example.org', selector: 'small', file: `${path}/key` }] } }
    await using host = await testPlugin(dkim(options), { clock: fakeClock(NOW) })
    const { edits } = await host.deliver({ client: { address: '127.0.0.1' }, message: MESSAGE })
    const [edit] = edits
    if (edit?.kind !== 'insertHeader') throw new Error('not signed')
    const signed = `${edit.name}:${edit.value.replaceAll('\n', '\r\n')}\r\n${MESSAGE}`
    const zone = { ...ZONE, 'small._domainkey.example.org': { txt: [recordOf(publicKey)] } }
    expect(dkimOf(await verify(signed, { zone }))).toContain('dkim=pass')
    expect(dkimOf(await verify(signed, { zone, options: { verify: { minKeyBits: 2048 } } }))).toContain(
      'dkim=policy reason="weak-key"',
    )
    const longExponent = Buffer.alloc(64, 0xff).toString('base64url')
    for (const key of [oversized(8192, 'AQAB'), oversized(2048, longExponent)]) {
      const large = { ...ZONE, 'small._domainkey.example.org': { txt: [recordOf(key)] } }
      expect(dkimOf(await verify(signed, { zone: large }))).toContain('dkim=neutral reason="invalid public key"')
    }
  })

  it('6: what l= leaves unsigned does not count for alignment', async () => {
    const { dkimSign } = (await import('mailauth')) as unknown as {
      dkimSign(input: string, options: object): Promise<{ signatures: string }>
    }
    const { signatures } = await dkimSign(MESSAGE, {
      signTime: new Date(NOW),
      signatureData: [{ signingDomain: 'example.org', selector: 'rsa', privateKey: RSA.pem, maxBodyLength: 4 }],
    })
    const delivered = await verify(`${signatures}${MESSAGE}and something else\r\n`)
    expect(dkimOf(delivered)).toMatch(/^dkim=policy reason="\d+ bytes of the body are not signed"/)
    expect(dmarc(delivered)).toContain('dmarc=fail')
  })

  it('6: a signature from the future, an expired one, and what clocks may differ', async () => {
    const signed = await sign(MESSAGE, { sign: { expiry: '1h' } })
    const at = async (minutes: number): Promise<string | undefined> =>
      dkimOf(await verify(signed, { now: NOW + minutes * 60_000 }))
    expect(await at(0)).toContain('dkim=pass')
    expect(await at(-4)).toContain('dkim=pass')
    expect(await at(-6)).toContain('dkim=neutral reason="signed in the future"')
    expect(await at(64)).toContain('dkim=pass')
    expect(await at(66)).toContain('dkim=neutral reason="expired"')
  })

  it('6: i= outside d=, a tag twice, From unsigned, two key records, a public suffix', async () => {
    const signed = await sign(MESSAGE)
    const changed = async (from: string | RegExp, to: string, zone = ZONE): Promise<string | undefined> =>
      dkimOf(await verify(signed.replace(from, to), { zone }))
    expect(await changed(' d=', ' i=@evil.example; d=')).toContain('dkim=neutral reason="domain mismatch"')
    expect(await changed(' d=', ' d=evil.example; d=')).toContain('dkim=neutral reason="signature syntax error"')
    expect(await changed('h=From:From:', 'h=')).toContain('dkim=neutral reason="From field not signed"')
    const twice = { ...ZONE, 'rsa._domainkey.example.org': { txt: [RSA.record, ED25519.record] } }
    expect(await changed('x', 'x', twice)).toContain('dkim=neutral reason="invalid public key"')
    const suffix = await sign(MESSAGE)
    expect(suffix).toContain('d=example.org')
    expect(
      await changed('d=example.org', 'd=org', { ...ZONE, 'rsa._domainkey.org': { txt: [RSA.record] } }),
    ).not.toContain('pass')
  })

  it('6: five hundred signatures cost no more than ten', async () => {
    const one = (await sign(MESSAGE)).slice(0, -MESSAGE.length)
    const many = Array.from({ length: 500 }, (_, i) =>
      one.replace('s=rsa', `s=rsa${i}`).replace(' d=', ` l=${i}; d=`),
    ).join('')
    const body = `${'text '.repeat(14)}\r\n`.repeat(14_000)
    const dns = fakeDns(ZONE)
    await using host = await testPlugin(dkim(), { clock: fakeClock(NOW), dns })
    let delivered: Awaited<ReturnType<typeof host.deliver>> | undefined
    const spent = await cost(async () => {
      delivered = await host.deliver({ message: many + MESSAGE + body })
    })
    expect(dns.calls.filter(({ name }) => name.includes('_domainkey')).length).toBeLessThanOrEqual(10)
    expect(results(delivered!, 'dkim')).toHaveLength(11)
    expect(results(delivered!, 'dkim').at(-1)).toContain(
      'dkim=policy reason="490 further signatures were not looked at"',
    )
    expect(spent).toBeLessThan(3000)
  })

  it('10: lying lengths, huge tags and names without end are bounded', async () => {
    const signed = await sign(MESSAGE)
    for (const [from, to] of [
      [' d=', ` l=${'9'.repeat(70)}; d=`],
      [' d=', ' l=18446744073709551616; d='],
      [' d=', ' l=-1; d='],
      [' d=', ` z=${'x'.repeat(200_000)}; d=`],
      ['h=From:', `h=${'From:'.repeat(100_000)}`],
      ['h=From:', `h=${'a:'.repeat(10_000)}From:`],
      ['b=', `b=${'A'.repeat(60_000)}`],
      ['bh=', 'bh=='],
      [' d=', ` ${';'.repeat(50_000)} d=`],
    ] as const) {
      const message = signed.replace(from, to)
      let result: string | undefined
      const spent = await cost(async () => {
        result = dkimOf(await verify(message))
      })
      expect(result, to.slice(0, 20)).toMatch(/^dkim=(?:neutral|fail|policy)/)
      expect(spent, to.slice(0, 20)).toBeLessThan(2000)
    }
  })

  it('11: a header of 1 MB is verified at a bounded cost', async () => {
    for (const line of [
      'X-Fold: a\r\n',
      ' a\r\n',
      `X-Long: ${'y'.repeat(900)}\r\n`,
      'DKIM-Signature: v=1\r\n',
      'ARC-Seal: i=1\r\n',
    ]) {
      const field = line.startsWith(' ')
        ? `X-Folded: a\r\n${line.repeat(300_000)}`
        : line.repeat(Math.min(9000, 1_000_000 / line.length))
      const message = (await sign(MESSAGE)) + MESSAGE
      const spent = await cost(() => verify(field + message))
      expect(spent, line).toBeLessThan(4000)
    }
  })
})

describe('DNS', () => {
  it('12: 64 KiB of TXT is no key', async () => {
    const zone = { ...ZONE, 'rsa._domainkey.example.org': { txt: [`v=DKIM1; p=${'A'.repeat(65_536)}`] } }
    const signed = await sign(MESSAGE)
    let result: string | undefined
    const spent = await cost(async () => {
      result = dkimOf(await verify(signed, { zone }))
    })
    expect(result).toContain('dkim=neutral reason="unknown key type"')
    expect(spent).toBeLessThan(2000)
    // The host's resolver does not even hand it out.
    const refused = { ...ZONE, 'rsa._domainkey.example.org': { txt: 'EMSGSIZE' } } as const
    expect(dkimOf(await verify(signed, { zone: refused }))).toContain('dkim=neutral reason="invalid public key"')
  })

  it('12: a policy record that is too long is none', async () => {
    const zone = { ...ZONE, '_dmarc.example.org': { txt: 'EMSGSIZE' } } as const
    expect(dmarc(await verify(MESSAGE, { zone }))).toContain('dmarc=none')
  })

  it('12: DNS that never answers is a temporary error within its time, and the policy for that is applied', async () => {
    const zone = { ...ZONE, 'rsa._domainkey.example.org': 'hang', '_dmarc.example.org': 'hang' } as const
    const signed = await sign(MESSAGE)
    const began = performance.now()
    const open = await verify(signed, { zone, options: { verify: { dnsTime: 0.2 } } })
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(dkimOf(open)).toContain('dkim=temperror reason="DNS failure: ECANCELLED"')
    expect(dmarc(open)).toContain('dmarc=temperror')
    expect(open.outcome).toBe('accept')
    const options = { verify: { dnsTime: 0.2 }, dmarc: { temperror: 'tempfail' } } as const
    expect((await verify(signed, { zone, options })).verdict).toMatchObject({
      kind: 'tempfail',
      reply: { enhanced: '4.7.1' },
    })
  })
})

describe('keys and signing', () => {
  const rule = (file: string): Parameters<typeof dkim>[0] => ({
    sign: { keys: [{ domain: 'example.org', selector: 'k', file }] },
  })

  it('17: a key that others may read is refused, and no part of it is told', async () => {
    const path = folder({ key: RSA.pem, broken: RSA.pem.slice(0, 200) })
    for (const mode of [0o644, 0o604, 0o660, 0o666]) {
      chmodSync(`${path}/key`, mode)
      await expect(testPlugin(dkim(rule(`${path}/key`)))).rejects.toThrow(/others may read or write this key/)
    }
    chmodSync(`${path}/key`, 0o640)
    await (await testPlugin(dkim(rule(`${path}/key`)))).close()
    const error = await testPlugin(dkim(rule(`${path}/broken`))).catch((thrown: Error) => thrown.message)
    expect(error).toContain('not a private key in PEM')
    expect(error).not.toContain(RSA.pem.slice(30, 60))
    await expect(testPlugin(dkim(rule(`${path}/missing`)))).rejects.toThrow(/ENOENT/)
  })

  it('19: mail from outside is never signed for its From', async () => {
    const path = folder({ key: RSA.pem })
    for (const mode of ['both', 'sign'] as const) {
      await using host = await testPlugin(dkim({ ...rule(`${path}/key`), mode }), {
        clock: fakeClock(NOW),
        dns: fakeDns(ZONE),
      })
      const outside = await host.deliver({ from: 'ann@example.org', message: MESSAGE })
      expect(outside.message?.header('DKIM-Signature')).toBeUndefined()
      const client = { auth: { user: 'ann' } }
      const inside = await host.deliver({ client, from: 'ann@example.org', message: MESSAGE })
      expect(inside.message?.header('DKIM-Signature')).toContain('d=example.org')
      expect(inside.message?.header('Authentication-Results')).toBeUndefined()
    }
  })

  it('19: a login of another domain does not sign, when that is asked for; nor does any for a foreign author', async () => {
    const path = folder({ key: RSA.pem })
    const base = rule(`${path}/key`)!
    const header = async (user: string, from: string, userDomain: boolean): Promise<string | undefined> => {
      await using host = await testPlugin(dkim({ sign: { ...base.sign, userDomain } }), { clock: fakeClock(NOW) })
      const message = MESSAGE.replace('ann@example.org', from)
      return (await host.deliver({ client: { auth: { user } }, message })).message?.header('DKIM-Signature')
    }
    expect(await header('eve@other.example', 'ann@example.org', false)).toBeDefined()
    expect(await header('eve@other.example', 'ann@example.org', true)).toBeUndefined()
    expect(await header('ann@example.org', 'ann@example.org', true)).toBeDefined()
    expect(await header('ann@example.org', 'ceo@bank.example', false)).toBeUndefined()
  })

  it('8: replies and header fields made from mail hold no line break, NUL or quote of it', async () => {
    const hostile = MESSAGE.replace('ann@example.org', '"x\\"; dkim=pass (" <ann@example.org>')
    const { message } = await verify(hostile)
    expect(message?.header('Authentication-Results')).not.toContain('dkim=pass')
    const { verdict } = await verify(MESSAGE, { options: { dmarc: { policy: 'reject' } } })
    expect(verdict).toMatchObject({
      kind: 'reject',
      reply: { code: 550, enhanced: '5.7.1', lines: ['Refused by the DMARC policy of example.org'] },
    })
  })
})
