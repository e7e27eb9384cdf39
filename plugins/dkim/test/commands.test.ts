/** The commands of the package, and what they make of what the plugin has kept. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { CommandCall } from 'milterhost/plugin'
import { type FakeZone, fakeClock, fakeDns, testPlugin } from 'milterhost/testing'
import { describe, expect, it } from 'vitest'
import { command, commands } from '../src/command.ts'
import dkim, { type DkimOptions } from '../src/index.ts'
import { ReportStore } from '../src/reports/store.ts'
import { ED25519, folder, RSA } from './support/keys.ts'
import { MESSAGE, NOW, sign, ZONE } from './support/play.ts'

interface Said {
  readonly code: number
  readonly out: readonly string[]
  readonly err: readonly string[]
}

async function run(
  name: 'keygen' | 'txt' | 'check' | 'report',
  {
    operands = [],
    options = {},
    written = [],
    zone = {},
    now = NOW,
  }: {
    operands?: readonly string[]
    options?: CommandCall['options']
    written?: readonly (DkimOptions | undefined)[]
    zone?: FakeZone
    now?: number
  },
): Promise<Said> {
  const out: string[] = []
  const err: string[] = []
  const { run: go } = { ...command.subcommands, ...commands.dmarc!.subcommands }[name]!
  const code = await go({
    operands,
    options,
    entries: async () => written.map((given, i) => ({ name: `dkim${i}`, options: given })),
    print: text => out.push(text),
    complain: text => err.push(text),
    progress: () => {},
    dns: fakeDns(zone),
    clock: { now: () => now },
  })
  return { code: code ?? 0, out, err }
}

/** The value of a record in a zone file. */
const recordIn = (line: string): string => [...line.matchAll(/"([^"]*)"/g)].map(([, piece]) => piece).join('')

describe('milterhost dkim', () => {
  it.each(['rsa', 'ed25519'])(
    'keygen makes an %s key that signs, readable for its owner only, and never over a file',
    async type => {
      const path = `${folder({})}/key.pem`
      const made = await run('keygen', { operands: ['Example.org', 'k1'], options: { type, output: path } })
      expect(statSync(path).mode & 0o777).toBe(0o600)
      expect(made.out[0]).toMatch(/^k1\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; k=/)
      const before = readFileSync(path, 'utf8')
      await expect(
        run('keygen', { operands: ['example.org', 'k1'], options: { type, output: path } }),
      ).rejects.toMatchObject({ code: 'EEXIST' })
      expect(readFileSync(path, 'utf8')).toBe(before)
      const zone = { 'k1._domainkey.example.org': { txt: [recordIn(made.out[0]!)] } }
      const options = { key: path }
      expect(await run('check', { operands: ['example.org', 'k1'], options, zone })).toMatchObject({
        code: 0,
        out: ['k1._domainkey.example.org: ok'],
      })
    },
  )

  it.each([
    [['ex ample', 'k'], {}, '"ex ample" is not the name of a domain'],
    [['example.org', '../k'], {}, 'is not a selector'],
    [['example.org', 'k'], { bits: '1024' }, '--bits is from 2048 to 4096'],
    [['example.org', 'k'], { type: 'dsa' }, '--type is rsa or ed25519'],
  ])('keygen %j %j is refused', async (operands, options, message) => {
    await expect(async () => run('keygen', { operands, options })).rejects.toThrow(message)
  })

  it('txt prints the records of all keys of the configuration, tables included', async () => {
    const path = folder({ rsa: RSA.pem, ed: ED25519.pem, SigningTable: '*@example.net main\n' })
    writeFileSync(`${path}/KeyTable`, `main example.net:k3:${path}/ed\nany %:k4:${path}/%\n`)
    const keys = [{ domain: 'example.org', selector: 'k1', file: `${path}/rsa` }]
    const written = [{ sign: { keys, keyTable: `${path}/KeyTable`, signingTable: `${path}/SigningTable` } }, undefined]
    const { out } = await run('txt', { written })
    expect(out.map(recordIn)).toEqual([RSA.record, ED25519.record])
    expect((await run('txt', { written, operands: ['example.net'] })).out).toEqual([
      expect.stringContaining('k3._domainkey.example.net.'),
    ])
    await expect(run('txt', { written: [] })).rejects.toThrow('the configuration has no such key')
  })

  it.each([
    ['ENOTFOUND', 'there is no such record'],
    ['ETIMEOUT', 'DNS does not answer (ETIMEOUT)'],
    [{ txt: [RSA.record, RSA.record] }, 'there are 2 records, verifiers may take any or none'],
    [{ txt: ['v=DKIM1; p='] }, 'the key is revoked'],
    [{ txt: [ED25519.record] }, 'the record is of a key of the type ed25519'],
    [{ txt: [RSA.record.replace('AQAB', 'AQAC')] }, 'the record is of another key'],
    [{ txt: [`${RSA.record}; h=sha1`] }, 'the record does not allow sha256'],
    [{ txt: [`${RSA.record}; t=y`] }, 'ok, but t=y says that the domain is testing'],
  ] as const)('check tells of %j', async (records, told) => {
    const path = folder({ key: RSA.pem })
    const written = [{ sign: { keys: [{ domain: 'example.org', selector: 'k1', file: `${path}/key` }] } }]
    const { code, out } = await run('check', { written, zone: { 'k1._domainkey.example.org': records } })
    expect({ code, out }).toEqual({ code: 1, out: [`k1._domainkey.example.org: ${told}`] })
  })
})

const DAY = 86_400_000

describe('milterhost dmarc report', () => {
  /** A day's mail: two signed, one not. */
  async function kept(
    record = 'v=DMARC1; p=reject; sp=none; rua=mailto:reports@example.org,mailto:d@else.example',
  ): Promise<string> {
    const store = `${folder({})}/sub/dmarc.db`
    const zone = { ...ZONE, '_dmarc.example.org': { txt: [record] } }
    const options = { dmarc: { policy: 'quarantine' }, reports: { store } } as const
    await using host = await testPlugin(dkim(options), { clock: fakeClock(NOW), dns: fakeDns(zone) })
    for (const message of [await sign(MESSAGE), await sign(MESSAGE), MESSAGE])
      await host.deliver({ from: 'ann@example.org', message })
    // Nobody publishes a policy for these, or nobody can say who it is: no row.
    await host.deliver({ message: MESSAGE.replace('ann@example.org', 'ann@example.net') })
    await host.deliver({ message: MESSAGE.replace('ann@example.org', 'nobody') })
    return store
  }

  it('has no rows of a configuration that is only tried out', async () => {
    const store = `${folder({})}/dmarc.db`
    const around = { clock: fakeClock(NOW), dns: fakeDns(ZONE), rehearsal: true }
    await using host = await testPlugin(dkim({ reports: { store } }), around)
    const { verdict } = await host.deliver({ from: 'ann@example.org', message: MESSAGE })
    expect({ verdict: verdict.kind, kept: existsSync(store) }).toEqual({ verdict: 'continue', kept: false })
  })

  it('writes the XML of RFC 9990, one file a domain, with counts, and says who wants it', async () => {
    const store = await kept()
    const output = folder({})
    const { code, out } = await run('report', {
      written: [{ reports: { store } }],
      options: { output, organization: 'mx.example.com', email: 'dmarc@example.com' },
      now: NOW + DAY,
    })
    const begin = Math.floor(NOW / DAY) * 86_400
    const name = `mx.example.com!example.org!${begin}!${begin + 86_399}.xml`
    expect({ code, out }).toEqual({ code: 0, out: [`${output}/${name}\t3 messages\treports@example.org`] })
    const xml = readFileSync(`${output}/${name}`, 'utf8').replaceAll(/>\s+</g, '><')
    expect(xml).toMatch(
      /^<\?xml version="1\.0" encoding="UTF-8"\?><feedback xmlns="urn:ietf:params:xml:ns:dmarc-2\.0"><version>1\.0<\/version>/,
    )
    expect(xml).toContain(`<date_range><begin>${begin}</begin><end>${begin + 86_399}</end></date_range>`)
    expect(xml).toContain(
      '<policy_published><domain>example.org</domain><p>reject</p><sp>none</sp><np>none</np><adkim>r</adkim><aspf>r</aspf><discovery_method>treewalk</discovery_method><testing>n</testing></policy_published>',
    )
    expect(xml).toContain(
      '<record><row><source_ip>192.0.2.1</source_ip><count>2</count><policy_evaluated><disposition>pass</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><envelope_from>example.org</envelope_from><header_from>example.org</header_from></identifiers><auth_results><dkim><domain>example.org</domain><selector>rsa</selector><result>pass</result></dkim></auth_results></record>',
    )
    expect(xml).toContain(
      '<count>1</count><policy_evaluated><disposition>quarantine</disposition><dkim>fail</dkim><spf>fail</spf><reason><type>local_policy</type></reason></policy_evaluated>',
    )
    expect(xml).not.toContain('recipient')
  })

  it('names another domain only if that one agreed, compresses, and has nothing to say of another day', async () => {
    const store = await kept()
    const output = folder({})
    const written = [{ reports: { store } }]
    const zone = { 'example.org._report._dmarc.else.example': { txt: ['v=DMARC1'] } }
    const options = { output, gzip: true, date: '2026-11-24' }
    const { out } = await run('report', { written, options, zone, operands: ['example.org'] })
    expect(out[0]).toContain('\treports@example.org d@else.example')
    const [file] = readdirSync(output)
    expect(file).toMatch(/\.xml\.gz$/)
    expect(gunzipSync(readFileSync(`${output}/${file}`)).toString()).toContain('<domain>example.org</domain>')
    const other = await run('report', {
      written,
      options: { ...options, date: '2026-11-20' },
      operands: ['example.org'],
    })
    expect(other).toEqual({
      code: 1,
      out: [],
      err: ['example.org: nothing was seen on that day', 'no report was written'],
    })
    await expect(run('report', { written, options: { date: 'yesterday' } })).rejects.toThrow('--date is YYYY-MM-DD')
    await expect(run('report', { written: [{}] })).rejects.toThrow('nothing is kept')
  })

  it('holds hostile values harmless', async () => {
    const store = await kept('v=DMARC1; p=reject; rua=mailto:"<&>\u0001@example.org')
    const output = folder({})
    const { out } = await run('report', {
      written: [{ reports: { store } }],
      options: { output, organization: '<a>&"b"', date: '2026-11-24' },
    })
    const xml = readFileSync(out[0]!.split('\t')[0]!, 'utf8')
    expect(xml).toContain('<org_name>&lt;a&gt;&amp;"b"</org_name>')
    expect(xml).not.toContain('\u0001')
  })

  it('what is older than a month goes', async () => {
    const path = await kept()
    const store = new ReportStore(path, { now: () => NOW, problem: () => {} })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const [row] = store.rows('example.org', NOW - DAY, NOW + DAY)
    store.add(row!, NOW + 40 * DAY)
    expect(store.domains(0, NOW + 39 * DAY)).toEqual([])
    expect(store.domains(NOW + 40 * DAY, NOW + 41 * DAY)).toEqual(['example.org'])
    store.close()
  })

  it('a store that fails does not stop mail', async () => {
    const store = `${folder({})}/dmarc.db`
    await using host = await testPlugin(dkim({ reports: { store } }), { clock: fakeClock(NOW), dns: fakeDns(ZONE) })
    const { DatabaseSync } = await import('node:sqlite')
    const other = new DatabaseSync(store)
    other.exec('BEGIN IMMEDIATE')
    expect((await host.deliver({ message: MESSAGE })).outcome).toBe('accept')
    other.exec('COMMIT')
    other.close()
    expect(host.logs.map(({ message }) => message)).toContain('a row for the DMARC reports could not be kept')
    const file = folder({ file: '' })
    await expect(testPlugin(dkim({ reports: { store: `${file}/file/dmarc.db` } }))).rejects.toThrow(
      /setup of plugin dkim failed/,
    )
  })
})
