// OpenDKIM and the plugin are given the same KeyTable and SigningTable and the same senders: the same keys sign. And Ed25519, both ways.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { testPlugin } from 'milterhost/testing'
import { expect, test } from 'vitest'
import dkim from '../../../plugins/dkim/src/index.ts'
import { ED25519, folder, RSA } from '../../../plugins/dkim/test/support/keys.ts'
import { MESSAGE, results, sign, verify } from '../../../plugins/dkim/test/support/play.ts'
import { requirePrograms, startMilter } from '../harness/index.ts'
import { type MtaClient, mtaClient } from '../harness/mtaClient.ts'

const SENDERS = [
  'ann@example.org',
  'bob@example.org',
  'Ann@Example.ORG',
  'ann@sub.example.org',
  'bob@sub.example.org',
  'bob@deep.sub.example.org',
  'ann@example.net',
  'bob@example.net',
  'news@example.net',
  'news@lists.example.net',
  'ann@example.com',
  'bob@www.example.com',
  'ann@notexample.org',
  'ann@example.org.example.edu',
  'root@localhost.example.edu',
  'ann+tag@example.org',
  'ann.b@example.info',
  'x@a.b.c.example.info',
  'ann@example.co',
  'ann@xn--bcher-kva.example',
] as const

const SIGNING = {
  wildcards:
    '# comment\nann@example.org a:ann@example.org\n*@example.org b\n*@*.example.org c:@example.org\nann@* d\n*@sub* own\nnews@* d\n*nn@example.n* a\n*@*example.info own\n*@xn--*.example own:@%\n',
  flat: 'ann@example.org a\nexample.org b:bob@%\nann@.example.org d\n.example.org c\n.net a\nnews@* d\nann@* c\nexample.com b\na.b.c.example.info own\n.example.edu own\n',
  everything: 'ann@example.org a\n* own\n',
}

const written = (value: string): string => {
  const tag = (name: string): string | undefined => new RegExp(`(?:^|;)\\s*${name}=\\s*([^;\\s]*)`).exec(value)?.[1]
  return `${tag('d')} ${tag('s')} ${tag('i') ?? ''}`
}

/** Of several lines that fit, OpenDKIM 2.11 signs with the first and the last, where opendkim.conf(5) promises all. */
const ends = (list: string[]): string[] => (list.length > 2 ? [list[0]!, list.at(-1)!] : list)

async function theirs(client: MtaClient, from: string): Promise<string[]> {
  const raw = MESSAGE.replace('ann@example.org', from)
  const { verdict, edits } = await client.message({ from: `<${from}>`, to: ['<bob@example.net>'], raw })
  if (!'ac'.includes(verdict.command)) return [verdict.command]
  const texts = edits.map(({ data }) => data.toString('latin1'))
  return texts
    .filter(text => text.includes('DKIM-Signature\0'))
    .map(text => written(text.split('DKIM-Signature\0')[1]!))
}

requirePrograms('opendkim')('the same tables', () => {
  test.each([
    { name: 'refile:', keys: 'file', signing: 'wildcards', all: false },
    { name: 'refile:, all that fit', keys: 'file', signing: 'wildcards', all: true },
    { name: 'file:', keys: 'file', signing: 'flat', all: false },
    { name: 'file:, all that fit', keys: 'file', signing: 'flat', all: true },
    { name: 'file: with *', keys: 'file', signing: 'everything', all: false },
    { name: 'csl:', keys: 'csl', signing: 'flat', all: false },
  ] as const)('choose the same keys, $name', async ({ keys, signing, all }) => {
    const path = folder({ 'rsa.pem': RSA.pem, ...SIGNING })
    const table = [
      `a example.org:sa:${path}/rsa.pem`,
      `b example.org:sb:${path}/rsa.pem`,
      `c sub.example.org:sc:${path}/rsa.pem`,
      `d %:sd:${path}/rsa.pem`,
      `own %:own:${path}/rsa.pem`,
    ]
    writeFileSync(join(path, 'KeyTable'), `${table.join('\n')}\n`)
    const list = (lines: readonly string[]): string => `csl:${lines.map(line => line.replace(' ', '=')).join(',')}`
    const keyTable = keys === 'csl' ? list(table) : `file:${path}/KeyTable`
    const signingTable =
      keys === 'csl'
        ? list(SIGNING[signing].trim().split('\n'))
        : `${signing === 'wildcards' ? 'refile' : 'file'}:${path}/${signing}`
    const lines = [
      'Mode s',
      `KeyTable ${keyTable}`,
      `SigningTable ${signingTable}`,
      `MultipleSignatures ${all ? 'yes' : 'no'}`,
    ]
    const { address } = await startMilter('opendkim', 'unix', lines.join('\n'))
    const client = await mtaClient(address)
    await client.negotiate()
    await client.connect('client.example', '192.0.2.1')
    const options = { mode: 'sign', sign: { keyTable, signingTable, multipleSignatures: all } } as const
    await using host = await testPlugin(dkim(options))
    const ours: Record<string, string[]> = {}
    const others: Record<string, string[]> = {}
    for (const from of SENDERS) {
      const { message } = await host.deliver({
        client: { address: '127.0.0.1' },
        message: MESSAGE.replace('ann@example.org', from),
      })
      ours[from] = (message?.headers ?? []).flatMap(({ name, value }) =>
        name === 'DKIM-Signature' ? written(value) : [],
      )
      others[from] = await theirs(client, from)
    }
    expect(Object.fromEntries(Object.entries(ours).map(([from, list]) => [from, ends(list)]))).toEqual(others)
    expect(Object.values(ours).filter(list => list.length > 0).length).toBeGreaterThan(5)
    await client.quit()
  })
})

requirePrograms('opendkim')('Ed25519 with OpenDKIM as a milter', () => {
  test('what it signs passes here', async () => {
    const path = folder({ 'ed.pem': ED25519.pem })
    const lines = ['Mode s', 'Domain example.org', 'Selector ed', `KeyFile ${join(path, 'ed.pem')}`]
    const { address } = await startMilter(
      'opendkim',
      'unix',
      [...lines, 'SignatureAlgorithm ed25519-sha256'].join('\n'),
    )
    const client = await mtaClient(address)
    await client.negotiate()
    await client.connect('client.example', '192.0.2.1')
    const { edits } = await client.message({ from: '<ann@example.org>', to: ['<bob@example.net>'], raw: MESSAGE })
    await client.quit()
    const signature = edits
      .map(({ data }) => data.toString('latin1'))
      .find(text => text.includes('DKIM-Signature\0'))
      ?.split('DKIM-Signature\0')[1]
    expect(signature).toContain('a=ed25519-sha256')
    const field = `DKIM-Signature:${signature!.replace('\0', '').replaceAll('\n', '\r\n')}\r\n`
    const found = results(await verify(field + MESSAGE, { now: Date.now() }), 'dkim')
    expect(found[0]).toMatch(/^dkim=pass header\.d=example\.org header\.s=ed header\.a=ed25519-sha256/)
  })

  test('what is signed here passes there', async () => {
    const path = folder({ dns: `ed._domainkey.example.org ${ED25519.record}\n`, nobody: '' })
    const lines = ['Mode v', `TestDNSData file:${path}/dns`, `InternalHosts ${path}/nobody`]
    const { address } = await startMilter('opendkim', 'unix', lines.join('\n'))
    const client = await mtaClient(address)
    await client.negotiate()
    await client.connect('client.example', '192.0.2.1')
    const raw = await sign(MESSAGE, { keys: ['ed'], now: Date.now() })
    const { edits } = await client.message({ from: '<ann@example.org>', to: ['<bob@example.net>'], raw })
    await client.quit()
    expect(edits.map(({ data }) => data.toString('latin1')).join()).toMatch(/dkim=pass/)
  })
})
