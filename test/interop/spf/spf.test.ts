// milter-plugin-spf behind real MTAs, with the daemon's resolver and a real name server: what the SMTP client is told, and what is in
// the message that was delivered.

import type { Answer } from 'dns-packet'
import { beforeAll, expect, test } from 'vitest'
import spf from '../../../plugins/spf/src/index.ts'
import { resolver } from '../../dns/support/resolver.ts'
import { startNameServer, zone } from '../../dns/support/server.ts'
import { arrived, letter } from '../chain/letter.ts'
import { startHost } from '../harness/host.ts'
import { type Mta, onCleanup, requirePrograms, smtp, startPostfix, startSendmail } from '../harness/index.ts'

const text = (name: string, data: string): Answer => ({ name, type: 'TXT', ttl: 60, data })
const answers = zone([
  text('sender.test', 'v=spf1 ip4:127.0.0.2 -all'),
  text('verp.test', 'v=spf1 exists:%{l}._spf.verp.test -all'),
  { name: 'bounce+a=b._spf.verp.test', type: 'A', ttl: 60, data: '127.0.0.2' },
])

async function start(kind: Mta['kind']): Promise<Mta> {
  const server = await startNameServer(asked => (asked.name === 'silent.test' ? null : answers(asked)))
  onCleanup(() => server.close())
  const host = await startHost({
    dns: resolver({ servers: [server], timeout: 60_000, total: 60_000 }),
    filters: [spf({ skip: { networks: [] }, receivedSpf: true, reject: { temperror: true }, timeout: '2s' })],
  })
  return kind === 'postfix' ? startPostfix({ milters: [host.address] }) : startSendmail({ milters: [host.address] })
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`SPF with ${kind}`, () => {
    let mta: Mta
    beforeAll(async () => {
      mta = await start(kind)
    })

    const send = async (from: string, localAddress: string, helo = 'mail.sender.test'): Promise<readonly string[]> => {
      const client = await smtp(mta.port, { localAddress })
      try {
        await client.command(`EHLO ${helo}`)
        const { last } = await client.mail({ from, to: 'bob@example.net', data: letter(`from ${from}`) })
        // Sendmail names the recipient.
        return last.text.trimEnd().replaceAll('<bob@example.net>... ', '').split('\r\n')
      } finally {
        await client.quit()
      }
    }

    test('a client that may send does, with one field of each kind on top', async () => {
      const before = (await mta.deliveries()).length
      expect((await send('alice@sender.test', '127.0.0.2'))[0]).toMatch(/^250 /)
      const message = arrived((await mta.waitForDeliveries(before + 1)).at(-1)!)
      expect(message.all('Authentication-Results').map(field => field.replaceAll(/\s+/g, ' '))).toEqual([
        expect.stringMatching(/; spf=none smtp\.helo=mail\.sender\.test; spf=pass smtp\.mailfrom=sender\.test$/),
      ])
      expect(message.all('Received-SPF')).toHaveLength(2)
      expect(message.headers.findIndex(field => field.startsWith('Received-SPF'))).toBeLessThan(
        message.headers.findIndex(field => field.startsWith('Received:')),
      )
    })

    test('a client that may not is told why at RCPT', async () => {
      expect(await send('alice@sender.test', '127.0.0.3')).toEqual([
        '550 5.7.23 SPF fail for MAIL FROM: sender.test does not permit 127.0.0.3 to send its mail',
      ])
    })

    test('a VERP sender is looked up with its own characters', async () => {
      expect((await send('bounce+a=b@verp.test', '127.0.0.3'))[0]).toMatch(/^250 /)
      expect((await send('bounce+a=c@verp.test', '127.0.0.3'))[0]).toMatch(/^550 5\.7\.23 /)
    })

    test('name servers that do not answer put the mail off, within the MTA’s patience', async () => {
      expect(await send('alice@silent.test', '127.0.0.3')).toEqual([
        '451 4.7.24 SPF temperror for MAIL FROM: the SPF record of silent.test cannot be looked up now',
      ])
    })

    test('the null sender is judged by its HELO name', async () => {
      expect((await send('', '127.0.0.3', 'sender.test'))[0]).toMatch(/^550 5\.7\.23 SPF fail for HELO: sender\.test /)
      expect((await send('', '127.0.0.2', 'sender.test'))[0]).toMatch(/^250 /)
    })
  })
}
