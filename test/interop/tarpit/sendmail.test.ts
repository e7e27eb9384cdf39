// Early talkers behind real Sendmail, which asks its milters about a client before it greets it, and bears a short hold there.

import { connect } from 'node:net'
import { definePlugin } from 'milterhost/plugin'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import tarpit, { EARLY_TALKER } from '../../../plugins/tarpit/src/index.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import { requirePrograms, type Sendmail, startSendmail, until } from '../harness/index.ts'

const HOLD = 4

requirePrograms('sendmail')('speaking before the greeting, held at connect by a host behind Sendmail', () => {
  const told = new Map<string, unknown>()
  let host: RunningHost
  let sendmail: Sendmail

  beforeAll(async () => {
    const reader = definePlugin({
      name: 'reader',
      setup: () => ({
        helo(event) {
          told.set(event.client.address, event.result(EARLY_TALKER) ?? false)
        },
      }),
    })
    const filter = tarpit({
      at: 'connect',
      hold: HOLD,
      earlyTalkers: true,
      suspect: { when: () => true },
      bypass: { local: false },
      store: 'memory',
    })
    host = await startHost({ filters: [filter, reader()] })
    sendmail = await startSendmail({ milters: [host.address] })
  })

  test.each([
    ['a client that sends EHLO before the greeting is an early talker', '127.0.5.1', true],
    ['a client that sends it at once, before the milters are asked, is one too', '127.0.5.3', 'at once'],
    ['a client that waits for the greeting is none', '127.0.5.2', false],
  ] as const)('%s', async (_, client, early) => {
    const socket = connect({ port: sendmail.port, host: '127.0.0.1', localAddress: client })
    onTestFinished(() => void socket.destroy())
    let text = ''
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
    })
    const lines = (): string[] => text.split('\r\n').filter(line => /^\d{3} /.test(line))
    if (early === 'at once') socket.write('EHLO client.example\r\n')
    if (early === true) {
      await until('the host is asked', () =>
        host.eventsOf('session-opened').some(({ client: of }) => of?.address === client),
      )
      socket.write('EHLO client.example\r\n')
    }
    await until(`the greeting to ${client}`, () => lines().length >= 1)
    if (!early) socket.write('EHLO client.example\r\n')
    await until(`the second answer to ${client}`, () => lines().length >= 2)
    expect(host.eventsOf('limit-reached')).toEqual([])
    expect(told.get(client), text).toBe(early !== false)
  })
})
