// Early talkers behind real Sendmail, which asks its milters about a client before it greets it, and bears a short hold there.

import { beforeAll, expect, test } from 'vitest'
import { requirePrograms, type Sendmail, startSendmail } from '../harness/index.ts'
import { type EarlyStand, earlyStand, talker } from './early.ts'

const HOLD = 4

requirePrograms('sendmail')('speaking before the greeting, held at connect by a host behind Sendmail', () => {
  let at: EarlyStand
  let sendmail: Sendmail

  beforeAll(async () => {
    at = await earlyStand(HOLD)
    sendmail = await startSendmail({ milters: [at.host.address] })
  })

  test.each([
    ['a client that sends EHLO before the greeting is an early talker', '127.0.5.1', true],
    ['a client that sends it at once, before the milters are asked, is one too', '127.0.5.3', 'at once'],
    ['a client that waits for the greeting is none', '127.0.5.2', false],
  ] as const)('%s', async (_, client, early) => {
    const { say, lines, answered, asked } = talker(at.host, sendmail.port, client)
    const hello = 'EHLO client.example'
    if (early === 'at once') say(hello)
    if (early === true) {
      await asked()
      say(hello)
    }
    await answered(1)
    if (early === false) say(hello)
    await answered(2)
    expect(at.host.eventsOf('limit-reached')).toEqual([])
    expect(at.told.get(client) ?? false, lines().join('\n')).toBe(early !== false)
  })
})
