// Through real Postfix: verified at the front, edited, signed at the back; and OpenDKIM at a socket of the same host, both ways.

import { chmodSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { socket } from 'milterhost'
import { definePlugin } from 'milterhost/plugin'
import { fakeDns } from 'milterhost/testing'
import { beforeAll, expect, test } from 'vitest'
import dkim from '../../../plugins/dkim/src/index.ts'
import { parsePrivateKey, publicRecord } from '../../../plugins/dkim/src/sign/keys.ts'
import { RSA } from '../../../plugins/dkim/test/support/keys.ts'
import { MESSAGE, sign } from '../../../plugins/dkim/test/support/play.ts'
import { arrived } from '../chain/letter.ts'
import { startHost } from '../harness/host.ts'
import {
  freePort,
  type Postfix,
  requirePrograms,
  smtp,
  startMilter,
  startPostfix,
  tempDir,
  until,
} from '../harness/index.ts'
import { dkimpy, type OpenDkim, opendkim, readRig } from './tools.ts'

/** The key that OpenDKIM of the rig signs with and verifies by. */
const PEM = readRig('keys/rig.private')
const TXT = {
  'rig._domainkey.example.com': publicRecord(parsePrivateKey(PEM)),
  'rsa._domainkey.example.org': RSA.record,
}
const ZONE = {
  ...Object.fromEntries(Object.entries(TXT).map(([name, text]) => [name, { txt: [text] }])),
  '_dmarc.example.org': { txt: ['v=DMARC1; p=reject'] },
}

/** Changes body and subject of what was signed elsewhere. */
const editor = definePlugin({
  name: 'editor',
  setup: () => ({
    async end(event) {
      const body: Uint8Array[] = []
      for await (const piece of event.body()) body.push(piece)
      event.edit.replaceBody(Buffer.concat([...body, Buffer.from('-- \r\nadded on the way\r\n')]))
      event.edit.replaceHeader(event.header('Subject')!, `[list] ${event.header('Subject')!.value}`)
    },
  }),
})

requirePrograms(
  'postfix',
  'opendkim',
  'opendkim-tools',
  'dkimpy',
)('behind Postfix', () => {
  let postfix: Postfix
  let testmsg: OpenDkim
  const ports: Record<string, number> = {}

  beforeAll(async () => {
    const file = join(tempDir('dkim-key'), 'rig.pem')
    copyFileSync(fileURLToPath(new URL('../rig/keys/rig.private', import.meta.url)), file)
    chmodSync(file, 0o600)
    // The client of these tests is local: what it sends is ours.
    const signing = (from: string[]): ReturnType<typeof dkim> =>
      dkim({ mode: 'sign', sign: { keys: [{ domain: 'example.com', selector: 'rig', file, from }] } }, { name: 'sign' })
    const verifying = dkim({ mode: 'verify' }, { name: 'verify' })
    const theirs = { signer: await startMilter('opendkim-sign'), verifier: await startMilter('opendkim-verify') }
    const chains = {
      between: [verifying, editor(), signing(['*'])],
      'they sign': [socket('opendkim', theirs.signer.address), verifying],
      'they verify': [signing(['*']), socket('opendkim', theirs.verifier.address)],
    }
    const also: { port: number; milters: string[] }[] = []
    for (const [name, filters] of Object.entries(chains)) {
      const { address } = await startHost({
        filters,
        dns: fakeDns(ZONE),
        authentication: { authservId: 'mx.ours.example' },
      })
      ports[name] = await freePort()
      also.push({ port: ports[name], milters: [address] })
    }
    postfix = await startPostfix({ also })
    testmsg = await opendkim(TXT)
  })

  async function through(
    chain: string,
    message: string,
  ): Promise<{ raw: string; all(name: string): string[]; first: string }> {
    const client = await smtp(ports[chain]!)
    const { end } = await client.mail({ from: 'ann@example.org', to: 'bob@example.net', data: message })
    await client.quit()
    expect(end?.code).toBe(250)
    const id = /^Message-ID: (.*)$/m.exec(message)![1]!
    const delivery = await until(`${id} is delivered`, async () =>
      (await postfix.deliveries()).find(({ raw }) => raw.includes(id)),
    )
    const { headers, all } = arrived(delivery)
    return { raw: delivery.raw.toString('latin1'), all, first: headers[0]! }
  }

  test('verified at the front, signed at the back, an editing filter between; one result on top, a forged one gone among fifty others', async () => {
    const others = Array.from({ length: 50 }, (_, i) => `Authentication-Results: mx${i}.example.org;\r\n\tspf=pass\r\n`)
    const forged = 'Authentication-Results: (x) MX.ours.example 1;\r\n dmarc=pass\r\n'
    const signed = await sign(MESSAGE.replace('<1@', '<between@'), { now: Date.now() })
    const mail = await through(
      'between',
      `${others.slice(0, 30).join('')}${forged}${others.slice(30).join('')}${forged}${signed}`,
    )
    expect(mail.first).toMatch(/^Authentication-Results: mx\.ours\.example;\r\n\tdkim=pass header\.d=example\.org /)
    const fields = mail.all('Authentication-Results')
    expect(fields).toHaveLength(51)
    expect(fields.filter(value => /ours\.example/i.test(value))).toHaveLength(1)
    expect(fields[0]).toContain('dmarc=pass header.from=example.org')
    expect(fields.slice(1)).toEqual(others.map(field => field.slice(24).trim()))
    expect(mail.raw).toContain('added on the way')
    // The sender's signature is broken by the edit, ours holds: all of it, by every implementation.
    const ours = mail.raw.replace(/^DKIM-Signature: (?:(?!\r\n\S)[\s\S])*d=example\.org[\s\S]*?\r\n(?=\S)/m, '')
    expect(ours.match(/^DKIM-Signature:/gm)).toHaveLength(1)
    expect(await testmsg.verify(ours)).toBeNull()
    expect(
      await dkimpy([
        { do: 'verify', message: ours, txt: TXT },
        { do: 'verify', message: mail.raw, txt: TXT },
      ]),
    ).toEqual([true, false])
  })

  test('what OpenDKIM signs at its socket verifies here', async () => {
    const message = MESSAGE.replace('ann@example.org', 'ann@example.com').replace('<1@', '<they-sign@')
    const { all } = await through('they sign', message)
    expect(all('Authentication-Results')[0]).toContain(
      'dkim=pass header.d=example.com header.s=rig header.a=rsa-sha256',
    )
  })

  test('what is signed here verifies with OpenDKIM at its socket', async () => {
    const { all } = await through('they verify', MESSAGE.replace('<1@', '<they-verify@'))
    expect(all('Authentication-Results').join()).toMatch(/mx\.rig\.example;\s+dkim=pass/)
  })
})
