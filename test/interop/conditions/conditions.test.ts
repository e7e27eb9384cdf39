// Conditions on what a real MTA tells: authentication, TLS, names, recipients and headers, on Postfix and Sendmail. A filter whose
// condition is false costs no connection, counted at the sockets of the milters.

import { type Config, socket } from 'milterhost'
import {
  all,
  authenticated,
  header,
  helo,
  localNetwork,
  not,
  recipient,
  remoteNetwork,
  sender,
  setMacro,
  stress,
  tls,
  trusted,
} from 'milterhost/conditions'
import { definePlugin, reject, resultKey } from 'milterhost/plugin'
import { beforeAll, expect, test } from 'vitest'
import type { Condition } from '../../../src/conditions.ts'
import { startHost } from '../harness/host.ts'
import {
  type Mta,
  type RawMilter,
  rawMilter,
  requirePrograms,
  type SmtpClient,
  smtp,
  startMilter,
  startPostfix,
  startSendmail,
  strings,
} from '../harness/index.ts'

const LOGIN = Buffer.from('\0ann@example.com\0secret').toString('base64')
const FROM = 'alice@example.com'
const BOB = 'bob@example.net'
const CAT = 'cat@example.net'

const conditions: Record<string, Condition> = {
  authenticated: authenticated(),
  stranger: not(authenticated()),
  tls: tls(),
  clear: not(tls()),
  local: localNetwork(),
  remote: remoteNetwork(),
  helo: helo('client.example'),
  alice: sender(FROM),
  eve: sender('eve@example.com'),
  bob: recipient(BOB),
  tested: header('X-Test', 'yes'),
  both: all(authenticated(), tls(), recipient(CAT)),
}

/** What every message of a plain client over loopback meets. */
const USUAL = ['alice', 'helo', 'local']

/** All macros a milter was told at a stage, by name. */
const macros = (milter: RawMilter, stage: string): Map<string, string> => {
  const packets = milter.received('D').filter(({ data }) => data.toString('latin1', 0, 1) === stage)
  const words = packets.flatMap(({ data }) => strings(data.subarray(1)))
  return new Map(words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? ''] as const] : [])))
}

interface Site {
  readonly milters: Readonly<Record<string, RawMilter>>
  /** Has no condition. */
  readonly always: RawMilter
  readonly port: number
  /** Behind the MTA without milterhost; it asks for nothing. */
  readonly direct: RawMilter
}

async function milters(): Promise<{
  readonly milters: Record<string, RawMilter>
  readonly always: RawMilter
  readonly address: string
  readonly sendmailAddress: string
}> {
  const made: Record<string, RawMilter> = {}
  const always = await rawMilter()
  for (const name of Object.keys(conditions)) made[name] = await rawMilter()
  const host = await startHost({
    filters: [
      ...Object.entries(conditions).map(([name, when]) => socket(name, made[name]!.address, { when })),
      socket('always', always.address),
    ],
  })
  return { milters: made, always, address: host.address, sendmailAddress: host.sendmailAddress }
}

/** Which milters got a connection and saw mail while this ran. */
async function met(site: Site, run: () => Promise<void>): Promise<string[]> {
  const opened = (): Map<string, number> =>
    new Map(
      Object.entries(site.milters).map(([name, { log }]) => [
        name,
        log.filter(entry => entry.direction === 'open').length,
      ]),
    )
  const before = opened()
  await run()
  const after = opened()
  return [...after].flatMap(([name, count]) => (count > before.get(name)! ? [name] : [])).sort()
}

async function send(
  client: SmtpClient,
  options: { to?: string[]; from?: string; headers?: string } = {},
): Promise<void> {
  const { to = [CAT], from = FROM, headers = '' } = options
  const { end } = await client.mail({ from, to, data: `Subject: test\r\n${headers}\r\ntext\r\n` })
  expect(end?.code).toBe(250)
  await client.quit()
}

async function logIn(client: SmtpClient): Promise<void> {
  await client.command('EHLO client.example')
  expect((await client.command(`AUTH PLAIN ${LOGIN}`)).code).toBe(235)
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(
    kind,
    'sasl',
    'openssl',
  )(`conditions behind ${kind}`, () => {
    let site: Site

    beforeAll(async () => {
      const { milters: made, always, address, sendmailAddress } = await milters()
      const direct = await rawMilter()
      let mta: Mta
      if (kind === 'postfix') {
        mta = await startPostfix({
          milters: [address, direct.address],
          sasl: ['ann:secret'],
          tls: true,
          // It tells nothing of a login or of TLS to a milter that does not ask.
          settings: { milter_mail_macros: 'i', milter_helo_macros: 'cipher' },
        })
      } else
        mta = await startSendmail({
          milters: [sendmailAddress],
          sasl: ['ann:secret'],
          tls: true,
        })
      site = { milters: made, always, port: mta.port, direct }
    })

    const connect = (): Promise<SmtpClient> => smtp(site.port)

    test('before there is mail, no milter with a condition has had a connection', async () => {
      // The one without a condition is met in the background: when it was, the others would have been.
      await site.always.waitFor('the host to have met it', log => log.some(entry => entry.direction === 'close'))
      expect(Object.values(site.milters).flatMap(({ log }) => log)).toEqual([])
    })

    test('a stranger in the clear', async () => {
      expect(await met(site, async () => send(await connect()))).toEqual([...USUAL, 'clear', 'stranger'].sort())
    })

    test('another sender, another HELO', async () => {
      const seen = await met(site, async () => {
        const client = await connect()
        await client.command('EHLO other.example')
        await send(client, { from: 'eve@example.com' })
      })
      expect(seen).toEqual(['clear', 'eve', 'local', 'stranger'])
    })

    test('a user who has logged in, though the MTA is not set to tell it', async () => {
      const seen = await met(site, async () => {
        const client = await connect()
        await logIn(client)
        await send(client)
      })
      expect(seen).toEqual([...USUAL, 'authenticated', 'clear'].sort())
      if (kind === 'postfix') expect(macros(site.direct, 'M').has('{auth_authen}')).toBe(false)
    })

    test('TLS: known at the HELO after STARTTLS', async () => {
      const seen = await met(site, async () => {
        const client = await connect()
        await client.command('EHLO client.example')
        await client.startTls()
        await client.command('EHLO client.example')
        await send(client)
      })
      // Before STARTTLS there was a HELO in the clear.
      expect(seen).toEqual([...USUAL, 'clear', 'stranger', 'tls'].sort())
      expect(site.milters.clear!.letters().slice(-4)).not.toContain('E')
    })

    test('both, for one of two recipients', async () => {
      const { both } = site.milters
      const seen = await met(site, async () => {
        const client = await connect()
        await client.command('EHLO client.example')
        await client.startTls()
        await logIn(client)
        await send(client, { to: [BOB, CAT] })
      })
      expect(seen).toContain('both')
      expect(seen).toContain('bob')
      const told = both!.received('R').map(({ data }) => strings(data)[0])
      expect(told).toEqual([`<${CAT}>`])
    })

    test('a recipient', async () => {
      expect(await met(site, async () => send(await connect(), { to: [CAT, BOB] }))).toContain('bob')
      expect(await met(site, async () => send(await connect(), { to: [CAT] }))).not.toContain('bob')
    })

    test('a header', async () => {
      const seen = await met(site, async () => send(await connect(), { headers: 'X-Test: yes\r\n' }))
      expect(seen).toContain('tested')
      expect(await met(site, async () => send(await connect(), { headers: 'X-Test: no\r\n' }))).not.toContain('tested')
    })
  })
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind, 'pymilter')(`a macro of milterhost’s own, behind ${kind}`, () => {
    // What milter-greylist does for `sm_macro`: it asks libmilter for the macro at RCPT and compares, or finds it unset.
    test('is there for a milter on libmilter that asks for it at RCPT, and unset where the condition fails', async () => {
      const [busy, calm] = [await startMilter('pymilter'), await startMilter('pymilter')]
      const spf = definePlugin({
        name: 'spf',
        setup: () => ({ mail: event => event.publish(resultKey('spf'), { result: 'pass' }) }),
      })
      const host = await startHost({
        filters: [
          spf(),
          socket('busy', busy.address, {
            when: all(
              setMacro('stress', 'yes', stress({ sessions: 1 })),
              setMacro('trusted_domain', 'yes', trusted({ domains: ['example.com'] })),
            ),
          }),
          socket('calm', calm.address, {
            when: all(
              setMacro('stress', 'yes', stress({ sessions: 1000, load: 1e6 })),
              setMacro('trusted_domain', 'yes', trusted({ domains: ['example.org'] })),
            ),
          }),
        ],
      })
      const mta =
        kind === 'postfix'
          ? await startPostfix({ milters: [host.address] })
          : await startSendmail({ milters: [host.sendmailAddress] })
      await send(await smtp(mta.port))
      expect((await busy.waitForEvent(/macros .*/))[0]).toBe('macros stress=yes trusted_domain=yes')
      expect((await calm.waitForEvent(/macros .*/))[0]).toBe('macros stress=None trusted_domain=None')
    })
  })
}

requirePrograms('postfix')('a macro of milterhost’s own', () => {
  test('reaches the external milter at the stage it is known, asked for or not', async () => {
    const [busy, calm] = [await rawMilter(), await rawMilter({ symlist: { 0: 'j' } })]
    const host = await startHost({
      filters: [
        socket('busy', busy.address, {
          when: all(
            localNetwork(),
            setMacro('{stress}', 'yes', stress({ sessions: 1 })),
            setMacro('trusted_domain', 'yes', sender(FROM)),
          ),
        }),
        socket('calm', calm.address, { when: setMacro('stress', 'no') }),
      ],
    })
    const mta = await startPostfix({ milters: [host.address] })
    await send(await smtp(mta.port))
    expect(macros(busy, 'C').get('{stress}')).toBe('yes')
    expect(macros(busy, 'C').has('{trusted_domain}')).toBe(false)
    expect(macros(busy, 'M').get('{trusted_domain}')).toBe('yes')
    expect(macros(calm, 'C').get('{stress}')).toBe('no')
  })
})

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`several recipients behind ${kind}`, () => {
    const attach = async (filters: Config['filters']): Promise<Mta> => {
      const host = await startHost(filters === undefined ? {} : { filters })
      return kind === 'postfix'
        ? startPostfix({ milters: [host.address] })
        : startSendmail({ milters: [host.sendmailAddress] })
    }
    const refuses = definePlugin({ name: 'refuses', setup: () => ({ end: () => reject('no') }) })

    test('those whose filter refuses the message are taken off it, the others get it', async () => {
      const mta = await attach([refuses(undefined, { users: [BOB], mixed: 'drop-recipients' })])
      await send(await smtp(mta.port), { to: [BOB, CAT] })
      const [delivery] = await mta.waitForDeliveries(1)
      expect(delivery!.recipients).toEqual([CAT])
      const client = await smtp(mta.port)
      expect((await client.mail({ from: FROM, to: [BOB], data: 'Subject: all\r\n\r\n' })).end?.code).toBe(550)
      await client.quit()
    })

    test('who differs from the first is told to come in a message of its own', async () => {
      const mta = await attach([refuses(undefined, { users: [BOB], recipients: 'split' })])
      const client = await smtp(mta.port)
      const { rcpt, end } = await client.mail({ from: FROM, to: [CAT, BOB], data: 'Subject: split\r\n\r\n' })
      expect(rcpt.map(({ code }) => code)).toEqual([250, 451])
      expect(rcpt[1]!.text).toMatch(/^451 4\.5\.3 /)
      expect(end?.code).toBe(250)
      expect((await client.mail({ from: FROM, to: [BOB], data: 'Subject: split\r\n\r\n' })).end?.code).toBe(550)
      await client.quit()
    })
  })
}
