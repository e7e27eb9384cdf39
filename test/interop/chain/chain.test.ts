// One chain of plugins and real external milters behind real MTAs, at every protocol version on either side: what is before signs
// what is after, everyone sees what those before did, and the signature holds when the mail has been delivered.

import { socket } from 'milterhost'
import { beforeAll, expect, test } from 'vitest'
import { type Attachments, attach } from '../differential/attachments.ts'
import { startHost } from '../harness/host.ts'
import { type Milter, rawMilter, requirePrograms, smtp, startMilter, startPostfix, strings } from '../harness/index.ts'
import { arrived, bySubject, dkimOf, letter } from './letter.ts'
import { type Witness, witness } from './witness.ts'

const VERSIONS = [2, 3, 4, 6] as const
type Version = (typeof VERSIONS)[number]

interface Way {
  readonly name: string
  readonly filterVersion: Version
  /** Postfix only: Sendmail cannot be told to offer less than 6. */
  readonly mtaVersion: Version
}

const ways: Record<'postfix' | 'sendmail', Way[]> = {
  postfix: VERSIONS.flatMap(mtaVersion =>
    VERSIONS.map(filterVersion => ({ name: `${mtaVersion}-${filterVersion}`, filterVersion, mtaVersion })),
  ),
  sendmail: VERSIONS.map(filterVersion => ({ name: `6-${filterVersion}`, filterVersion, mtaVersion: 6 })),
}

async function send(port: number, subject: string): Promise<number | undefined> {
  const client = await smtp(port)
  const { end } = await client.mail({ from: 'alice@example.com', to: 'bob@example.net', data: letter(subject) })
  await client.quit()
  return end?.code
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(
    kind,
    'opendkim',
    'pymilter',
  )(`plugin, OpenDKIM, plugin, libmilter behind ${kind}`, () => {
    const plugins = new Map<Version, { first: Witness; second: Witness }>()
    let verifier: Milter
    let mta: Attachments<string>

    beforeAll(async () => {
      const signer = await startMilter('opendkim-sign')
      const editor = await startMilter('pymilter')
      verifier = await startMilter('opendkim-verify')
      const hosts = new Map<Version, string>()
      for (const version of VERSIONS) {
        const [first, second] = [witness('X-First'), witness('X-Second')]
        plugins.set(version, { first, second })
        const filters = [
          first.entry,
          socket('opendkim', signer.address, { version }),
          second.entry,
          socket('pymilter', editor.address, { version }),
        ]
        hosts.set(version, (await startHost({ filters })).address)
      }
      const places = ways[kind].map(({ name, mtaVersion, filterVersion }): [string, string[]] => {
        const host = hosts.get(filterVersion)!
        return [name, [kind === 'postfix' ? `{ ${host}, protocol=${mtaVersion} }` : host]]
      })
      mta = await attach(kind, Object.fromEntries(places))
    })

    test.for(ways[kind])(
      'carries mail with MTA version $mtaVersion and filter version $filterVersion, and its signature holds',
      async ({ name, filterVersion }) => {
        expect(await send(mta.port[name]!, name)).toBe(250)
        const { first, second } = plugins.get(filterVersion)!
        expect(first.of(name).headers.join('\n')).not.toContain('DKIM-Signature')
        expect(second.of(name).headers.filter(field => field.startsWith('DKIM-Signature:'))).toHaveLength(1)
        const { deliveries } = await mta.settled()
        const delivery = bySubject([...deliveries.values()].flat(), name)
        const message = arrived(delivery)
        for (const [header, count] of [
          ['X-First', 1],
          ['X-Second', 1],
          ['X-Rig-Milter', 1],
          ['DKIM-Signature', 1],
        ] as const)
          expect(message.all(header), header).toHaveLength(count)
        // The filters name their message alike: the stamps are of one and the same.
        expect(message.all('X-Second')[0]).toBe(message.all('X-First')[0])
        expect(await dkimOf(verifier, delivery)).toEqual(['pass'])
        await expect.poll(() => second.of(name).outcome).toBe('accept')
      },
    )
  })

  requirePrograms(kind, 'perl-milter')(`a milter that speaks version 2 only behind ${kind}`, () => {
    test('stands in the chain between plugins', async () => {
      const perl = await startMilter('perl')
      const [first, second] = [witness('X-First'), witness('X-Second')]
      const host = await startHost({ filters: [first.entry, socket('perl', perl.address), second.entry] })
      const mta = await attach(kind, { chain: [host.address] })
      const client = await smtp(mta.port.chain)
      const to = ['bob@example.net', 'reject@example.net']
      const { rcpt, end } = await client.mail({ from: 'alice@example.com', to, data: letter('perl') })
      await client.quit()
      expect(rcpt.map(({ code }) => code)).toEqual([250, 550])
      expect(end?.code).toBe(250)
      expect(first.of('perl').recipients).toEqual(['<bob@example.net>', '<reject@example.net>'])
      expect(second.of('perl').recipients).toEqual(['<bob@example.net>'])
      expect(second.of('perl').headers).toContain('X-PMilter: seen')
      const { deliveries } = await mta.settled()
      const delivery = bySubject([...deliveries.values()].flat(), 'perl')
      expect(delivery.recipients).toEqual(['bob@example.net'])
      expect(arrived(delivery).all('X-PMilter')).toEqual(['seen'])
    })
  })
}

requirePrograms('postfix')("Postfix's own setting of the version, which these tests rely on", () => {
  test('is what it offers', async () => {
    const milter = await rawMilter()
    const mta = await startPostfix({ milters: [`{ ${milter.address}, protocol=3 }`] })
    const client = await smtp(mta.port)
    await client.quit()
    expect(milter.received('O')[0]?.data.readUInt32BE(0)).toBe(3)
    expect(strings(milter.received('C')[0]?.data ?? Buffer.alloc(0))).not.toEqual([])
  })
})
