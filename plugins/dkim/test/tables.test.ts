/** Which keys sign: rules of our own, and OpenDKIM's tables as they are. */
import { chmodSync, utimesSync, writeFileSync } from 'node:fs'
import { type FakeClock, fakeClock, testPlugin } from 'milterhost/testing'
import { describe, expect, it } from 'vitest'
import dkim, { type DkimOptions } from '../src/index.ts'
import { matching, parseDataSet, parseKeyTable, parseSigningTable, wildcard } from '../src/sign/tables.ts'
import { ED25519, folder, RSA } from './support/keys.ts'
import { MESSAGE, NOW } from './support/play.ts'

interface Sent {
  readonly from?: string
  readonly user?: string
  readonly address?: string
}

/** `d=` and `s=` of the signatures, in order. */
async function signers(sign: DkimOptions['sign'], sent: Sent = {}): Promise<string[]> {
  await using host = await testPlugin(dkim({ sign, localNetworks: ['192.0.2.0/24'] }), { clock: fakeClock(NOW) })
  return signed(host, sent)
}

async function signed(
  host: Awaited<ReturnType<typeof testPlugin>>,
  { from = 'ann@example.org', user, address = '192.0.2.1' }: Sent,
): Promise<string[]> {
  const client = { address, ...(user !== undefined && { auth: { user } }) }
  const delivered = await host.deliver({ client, message: MESSAGE.replace('ann@example.org', from) })
  if (delivered.outcome !== 'accept') return [delivered.outcome]
  const values = delivered.message!.headers.flatMap(({ name, value }) => (name === 'DKIM-Signature' ? [value] : []))
  return values.map(
    value =>
      `${/\sd=([^;]+)/.exec(value)?.[1]} ${/\ss=([^;]+)/.exec(value)?.[1]}${/\si=[^;]+/.exec(value)?.[0]?.replace(/\s/, ' ') ?? ''}`,
  )
}

describe("OpenDKIM's tables", () => {
  it('are read with comments, blanks and colons', () => {
    expect(
      parseKeyTable('# keys\n\nmain example.org:k1:/etc/k1.pem # the first\n  any\t%:k2:./%.pem\nmain other:x:/y\n'),
    ).toEqual(
      new Map([
        ['main', { domain: 'example.org', selector: 'k1', key: '/etc/k1.pem' }],
        ['any', { domain: '%', selector: 'k2', key: './%.pem' }],
      ]),
    )
    expect(parseSigningTable('*@Example.org main\nann@example.org  main:list@example.org\n')).toEqual([
      { pattern: '*@example.org', keyName: 'main', identity: null },
      { pattern: 'ann@example.org', keyName: 'main', identity: 'list@example.org' },
    ])
    expect(() => parseKeyTable('main example.org:k1\n')).toThrow('line 1: "main" needs domain:selector:key')
    expect(() => parseSigningTable('\nmain\n')).toThrow('line 2: "main" has no value')
    expect(parseDataSet('refile:/a')).toEqual({ path: '/a', patterns: true })
    expect(parseDataSet('file:/a')).toEqual({ path: '/a', patterns: false })
    expect(parseDataSet('csl:a=b:c:MII=, *=d')).toEqual({ lines: 'a b:c:MII=\n* d' })
    expect(() => parseDataSet('dsn:mysql://x')).toThrow('only data sets of the types file:, refile: and csl: are read')
  })

  it('in a flat file are looked up from the whole address to *', () => {
    const keys = [
      '*',
      'ann@*',
      '.example.com',
      'ann@.example.com',
      'foo.example.com',
      'ann@foo.example.com',
      'bob@foo.example.com',
      '.com',
    ]
    const records = parseSigningTable(keys.map(key => `${key} ${key}`).join('\n'))
    expect(matching(records, false, 'ann@foo.example.com', 'foo.example.com').map(({ pattern }) => pattern)).toEqual([
      'ann@foo.example.com',
      'foo.example.com',
      'ann@.example.com',
      '.example.com',
      '.com',
      'ann@*',
      '*',
    ])
  })

  it.each([
    ['*', 'anything', true],
    ['*@example.org', 'ann@example.org', true],
    ['*@*.example.org', 'ann@a.example.org', true],
    ['*@*.example.org', 'ann@example.org', false],
    ['ann*@*', 'anna@b', true],
    ['a*a', 'a', false],
    ['*.*.*', 'a.b', false],
    ['ann@example.org', 'ann@exampleXorg', false],
  ])('wildcard %s against %s is %s', (pattern, text, expected) => {
    expect(wildcard(pattern, text)).toBe(expected)
  })

  it('decide who signs, the first line or all of them', async () => {
    const path = folder({
      'rsa.pem': RSA.pem,
      'keys/example.org': ED25519.pem,
      KeyTable: '',
      SigningTable: '*@example.org main:news@%\n*@example.org %\n*@*.example.org main:@elsewhere.example\n',
    })
    writeFileSync(`${path}/KeyTable`, `main example.org:k1:${path}/rsa.pem\nexample.org %:k2:${path}/keys/%\n`)
    const tables = { keyTable: `file:${path}/KeyTable`, signingTable: `refile:${path}/SigningTable` }
    expect(await signers(tables)).toEqual(['example.org k1 i=news@example.org'])
    expect(await signers({ ...tables, multipleSignatures: true })).toEqual([
      'example.org k1 i=news@example.org',
      'example.org k2',
    ])
    // An identity outside of the domain is left out.
    expect(await signers(tables, { from: 'ann@sub.example.org' })).toEqual(['example.org k1'])
    expect(await signers(tables, { from: 'ann@example.net' })).toEqual([])
  })

  it('take a key that is written into them', async () => {
    const der = RSA.pem.replaceAll(/-----[^-]+-----|\s/g, '')
    const path = folder({ KeyTable: `main example.org:k1:${der}\n`, SigningTable: 'example.org main\n' })
    expect(await signers({ keyTable: `${path}/KeyTable`, signingTable: `${path}/SigningTable` })).toEqual([
      'example.org k1',
    ])
  })

  it('that name a key that is not there put mail off, and are refused together or not at all', async () => {
    const path = folder({ KeyTable: '', SigningTable: '* lost\n' })
    expect(await signers({ keyTable: `${path}/KeyTable`, signingTable: `refile:${path}/SigningTable` })).toEqual([
      'tempfail',
    ])
    await expect(signers({ keyTable: `${path}/KeyTable` })).rejects.toThrow(
      'keyTable and signingTable are used together',
    )
    await expect(signers({ keyTable: `${path}/none`, signingTable: `${path}/SigningTable` })).rejects.toThrow('ENOENT')
  })
})

describe('keys in the configuration', () => {
  it('sign for their domain and those below, for users, for networks', async () => {
    const path = folder({ a: RSA.pem, b: ED25519.pem })
    const base = { domain: 'example.org', selector: 'a', file: `${path}/a` }
    expect(await signers({ keys: [base] }, { from: 'ann@news.example.org' })).toEqual(['example.org a'])
    expect(await signers({ keys: [base] }, { from: 'ann@notexample.org' })).toEqual([])
    expect(
      await signers({
        keys: [
          { ...base, from: ['ann@*'] },
          { ...base, selector: 'b', file: `${path}/b` },
        ],
      }),
    ).toEqual(['example.org a', 'example.org b'])
    const users = { keys: [{ ...base, users: ['*@example.org'] }] }
    expect(await signers(users, { user: 'ann@example.org' })).toEqual(['example.org a'])
    expect(await signers(users, { user: 'eve' })).toEqual([])
    expect(await signers(users)).toEqual([])
    const networks = { keys: [{ ...base, networks: ['192.0.2.128/25'] }] }
    expect(await signers(networks, { address: '192.0.2.200' })).toEqual(['example.org a'])
    expect(await signers(networks)).toEqual([])
    expect(await signers({ keys: [{ ...base, identity: 'ann@%' }] })).toEqual(['example.org a i=ann@example.org'])
  })

  it('are read again when they have changed, and keep serving when the new one is broken', async () => {
    const path = folder({ key: RSA.pem })
    const clock: FakeClock = fakeClock(NOW)
    const options = {
      sign: { keys: [{ domain: 'example.org', selector: 'k', file: `${path}/key` }] },
      localNetworks: ['192.0.2.0/24'],
    }
    await using host = await testPlugin(dkim(options), { clock })
    const algorithm = async (): Promise<string | undefined> => {
      const { message } = await host.deliver({ message: MESSAGE })
      return /a=([\w-]+)/.exec(message?.header('DKIM-Signature') ?? '')?.[1]
    }
    let stamp = 1_000
    const change = async (text: string, mode = 0o600): Promise<void> => {
      writeFileSync(`${path}/key`, text)
      chmodSync(`${path}/key`, mode)
      utimesSync(`${path}/key`, stamp, ++stamp)
      await clock.advance('2s')
    }
    expect(await algorithm()).toBe('rsa-sha256')
    await change(ED25519.pem)
    expect(await algorithm()).toBe('ed25519-sha256')
    await change('half a ke')
    expect(await algorithm()).toBe('ed25519-sha256')
    await change(RSA.pem, 0o644)
    expect(await algorithm()).toBe('ed25519-sha256')
    const told = host.logs.filter(({ level }) => level === 'error').map(({ fields }) => String(fields.error))
    expect(told).toEqual([expect.stringContaining('not a private key'), expect.stringContaining('others may read')])
    await change(RSA.pem)
    expect(await algorithm()).toBe('rsa-sha256')
  })
})
