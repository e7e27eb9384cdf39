// The greylist in front of real MTAs: what a client is told at the first attempt and at its retry, and that what was learned
// outlives the host.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import greylist from '../../../plugins/greylist/src/index.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import {
  freePort,
  type MailReplies,
  type Mta,
  requirePrograms,
  smtp,
  startPostfix,
  startSendmail,
  tempDir,
  until,
} from '../harness/index.ts'

const FROM = 'alice@example.com'
const TO = ['bob@example.net', 'carol@example.net']

const starters = {
  postfix: (milters: string[]): Promise<Mta> => startPostfix({ milters }),
  sendmail: (milters: string[]): Promise<Mta> => startSendmail({ milters }),
}

async function attempt(mta: Mta, subject: string, from = FROM, to: string | string[] = TO): Promise<MailReplies> {
  const client = await smtp(mta.port)
  try {
    return await client.mail({ from, to, data: `Subject: ${subject}\r\n\r\nhello\r\n` })
  } finally {
    await client.quit()
  }
}

const start = (path: string, listen: string): Promise<RunningHost> =>
  startHost({
    listen,
    filters: [
      greylist({
        mode: 'all',
        store: { path },
        jitter: 0,
        wait: { ordinary: '3s' },
        bypass: { local: false },
        suspect: { s25r: false, helo: false },
        header: true,
      }),
    ],
  })

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`the greylist behind ${kind}`, () => {
    test('puts off, lets pass after the wait, and knows after a restart of the host', async () => {
      const folder = tempDir('greylist')
      const path = join(folder, 'greylist.sqlite')
      const listen = `inet:${await freePort()}@127.0.0.1`
      let host = await start(path, listen)
      const mta = await starters[kind]([host.address])

      const first = await attempt(mta, 'one')
      expect(first.rcpt.map(({ code }) => code)).toEqual([450, 450])
      expect(first.last.text).toMatch(/450 4\.7\.1 .*Greylisted, try again later/)
      expect((await attempt(mta, 'too early')).rcpt[0]?.code).toBe(450)
      expect(await mta.deliveries()).toEqual([])

      const passed = await until('a retry passes', async () => {
        const replies = await attempt(mta, 'again')
        return replies.end === undefined ? undefined : replies
      })
      expect(passed.end?.code).toBe(250)
      const [delivery] = await mta.waitForDeliveries(1)
      expect(delivery?.raw.toString('latin1')).toMatch(/^X-Greylist: passed; rule=passed; .*delay=[3-9]/m)
      expect(delivery?.recipients.sort()).toEqual(TO)

      await host.stop()
      host = await start(path, listen)
      expect((await attempt(mta, 'after', 'dave@example.com', 'erin@example.net')).end?.code).toBe(250)

      const bounce = await attempt(mta, 'bounce', '', 'bob@example.net')
      expect(bounce.rcpt.map(({ code }) => code)).toEqual([250])
      expect(bounce.data?.code ?? bounce.last.code).toBe(450)
      await host.stop()
    })
  })
}
