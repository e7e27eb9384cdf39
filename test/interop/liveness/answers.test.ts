// `onClientLeft` behind a real Postfix: what each of its values makes of a message whose client leaves while a filter keeps it waiting.

import { definePlugin } from 'milterhost/plugin'
import { beforeAll, describe, expect, test } from 'vitest'
import { type RunningHost, startHost } from '../harness/host.ts'
import {
  freePort,
  type Mta,
  requirePrograms,
  type SmtpClient,
  sleep,
  smtp,
  startPostfix,
  until,
} from '../harness/index.ts'

/** Longer than any test: who leaves is not waited for. */
const WAIT = 60

const VALUES = ['421', 'tempfail', 'accept', 'discard'] as const
type Value = (typeof VALUES)[number]

/** Makes a client wait for the recipient `slow`, or at the end of a message to `end`; marks what it lets go. */
const wait = definePlugin({
  name: 'wait',
  setup: () => ({
    async rcpt(event) {
      if (event.recipient.local === 'slow') await event.hold(WAIT)
    },
    async end(event) {
      event.edit.prependHeader('X-Filtered', 'yes')
      if (event.recipients.some(({ local }) => local === 'end')) await event.hold(WAIT)
    },
  }),
})

const MESSAGE = (subject: string): string => `From: <a@example.com>\r\nSubject: ${subject}\r\n\r\nhello\r\n`

requirePrograms('postfix')('onClientLeft behind Postfix', () => {
  let mta: Mta
  const places = new Map<Value, { readonly host: RunningHost; readonly port: number }>()

  beforeAll(async () => {
    for (const value of VALUES) {
      const host = await startHost({ onClientLeft: value, filters: [wait()] })
      places.set(value, { host, port: await freePort() })
    }
    mta = await startPostfix({
      also: [...places.values()].map(({ host, port }) => ({ port, milters: [host.address] })),
    })
  })

  /** A client that leaves when the filter has kept it for a while; `answered` when the host has. */
  async function leave(value: Value, begin: (client: SmtpClient) => Promise<void>): Promise<void> {
    const { host, port } = places.get(value)!
    const before = host.eventsOf('client-left').length
    const client = await smtp(port)
    await client.command('EHLO client.example')
    await begin(client)
    await sleep(1)
    client.abortFin()
    await host.waitFor('it is noticed', () => host.eventsOf('client-left').length > before)
  }

  const subjects = async (): Promise<string[]> =>
    (await mta.deliveries()).map(({ raw }) => /^Subject: (.*?)\r?$/m.exec(raw.toString('latin1'))?.[1] ?? '')

  /** With each of these values, what the MTA logs; there is nothing of the mail then. */
  function notDelivered(
    stage: string,
    begin: (client: SmtpClient, subject: string) => Promise<void>,
    rows: readonly (readonly [Value, RegExp])[],
  ): void {
    test.each(rows)('%s: it is not delivered', async (value, logged) => {
      await leave(value, client => begin(client, `${stage} ${value}`))
      await mta.waitForLog(logged)
      await sleep(1)
      expect(await subjects()).not.toContain(`${stage} ${value}`)
    })
  }

  describe('a client that leaves at the end of its message', () => {
    const begin = async (client: SmtpClient, subject: string): Promise<void> => {
      await client.pipeline('MAIL FROM:<a@example.com>', 'RCPT TO:<end@example.com>', 'DATA')
      client.write(`${MESSAGE(subject)}.\r\n`)
    }

    notDelivered('end', begin, [
      ['421', /milter-reject: END-OF-MESSAGE .*: 4\.4\.2 /],
      ['tempfail', /milter-reject: END-OF-MESSAGE .*: 4\.4\.2 /],
      ['discard', /milter-discard: END-OF-MESSAGE /],
    ])

    test('accept: it is delivered as it came', async () => {
      await leave('accept', client => begin(client, 'end accept'))
      await until('it is delivered', async () => (await subjects()).includes('end accept'))
      expect((await mta.deliveries()).filter(({ raw }) => raw.includes('X-Filtered'))).toEqual([])
    })
  })

  describe('a client that leaves at RCPT, with the rest of its mail already sent', () => {
    const begin = async (client: SmtpClient, subject: string): Promise<void> => {
      const content = MESSAGE(subject)
      const lines = ['MAIL FROM:<a@example.com>', 'RCPT TO:<slow@example.com>', `BDAT ${content.length} LAST`]
      client.write(`${lines.join('\r\n')}\r\n${content}`)
    }

    notDelivered('rcpt', begin, [
      [
        '421',
        /NOQUEUE: milter-reject: RCPT .*: 421 4\.4\.2 .*to=<slow@.*\n.*disconnect from .* rcpt=0\/1 commands=2\/3/,
      ],
      [
        'tempfail',
        /NOQUEUE: milter-reject: RCPT .*: 451 4\.4\.2 .*to=<slow@(.*\n)*.*disconnect from .* rcpt=0\/1 bdat=0\/1 /,
      ],
      ['discard', /milter-discard: RCPT .*to=<slow@(.*\n)*.*disconnect from .* rcpt=1 bdat=1 /],
    ])

    test('accept: it is delivered, and no filter sees it', async () => {
      await leave('accept', client => begin(client, 'rcpt accept'))
      await until('it is delivered', async () => (await subjects()).includes('rcpt accept'))
      const all = (await mta.deliveries()).map(({ raw }) => raw.toString('latin1'))
      expect(all.filter(text => text.includes('X-Filtered'))).toEqual([])
    })
  })

  test('who stays is filtered as ever', async () => {
    const client = await smtp(places.get('accept')!.port)
    const { end } = await client.mail({ from: 'a@example.com', to: 'b@example.com', data: MESSAGE('stays') })
    expect(end?.code).toBe(250)
    await until('it is delivered', async () =>
      (await mta.deliveries()).some(({ raw }) => raw.includes('Subject: stays') && raw.includes('X-Filtered: yes')),
    )
  })
})
