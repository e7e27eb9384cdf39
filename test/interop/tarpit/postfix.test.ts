// The tarpit behind real Postfix, alone and before a greylist: who waits is accepted, learned, and passes at once the next time; who
// sends DATA in advance and hangs up is not learned, although Postfix passes its DATA on when the hold is over. Who speaks before the
// greeting of a Postfix that waits is found out.

import { definePlugin, type FilterEntry } from 'milterhost/plugin'
import { beforeAll, describe, expect, test } from 'vitest'
import greylist from '../../../plugins/greylist/src/index.ts'
import tarpit, { TARPIT } from '../../../plugins/tarpit/src/index.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import { freePort, type Postfix, requirePrograms, sleep, smtp, startPostfix, tempDir, until } from '../harness/index.ts'
import { type EarlyStand, earlyStand, talker } from './early.ts'

const HOLD = 3
const SUSPECT = { when: () => true }

interface Stand {
  host: RunningHost
  port: number
  /** What was decided on the clients of an address, in order. */
  states(client: string): unknown[]
}

async function stand(after: readonly FilterEntry[] = []): Promise<Stand> {
  const seen: { client: string; state: unknown }[] = []
  const reader = definePlugin({
    name: 'reader',
    setup: () => ({
      rcpt(event) {
        seen.push({ client: event.client.address, state: event.result(TARPIT)?.state })
      },
    }),
  })
  const store = { path: `${tempDir('tarpit')}/tarpit.sqlite` }
  const options = { store, hold: HOLD, suspect: SUSPECT, bypass: { local: false } }
  const host = await startHost({ filters: [tarpit(options), ...after, reader()] })
  return {
    host,
    port: await freePort(),
    states: client => seen.filter(one => one.client === client).map(({ state }) => state),
  }
}

/** One message; how it was answered and how long RCPT took. */
async function send(port: number, client: string): Promise<{ code: number; held: number }> {
  const connection = await smtp(port, { localAddress: client })
  await connection.command('EHLO client.example')
  await connection.command('MAIL FROM:<alice@example.com>')
  const began = performance.now()
  const rcpt = await connection.command('RCPT TO:<bob@example.net>')
  const held = (performance.now() - began) / 1000
  let last = rcpt
  if (rcpt.code === 250) {
    await connection.command('DATA')
    last = await connection.content('Subject: hi\r\n\r\nHello\r\n')
  }
  await connection.quit()
  return { code: last.code, held }
}

requirePrograms('postfix')('behind Postfix', () => {
  let alone: Stand
  let before: Stand
  let postfix: Postfix

  beforeAll(async () => {
    alone = await stand()
    const store = { path: `${tempDir('greylist')}/greylist.sqlite` }
    before = await stand([greylist({ store, mode: 'all', bypass: { local: false }, known: { suspicious: 1 } })])
    postfix = await startPostfix({
      milters: [alone.host.address],
      also: [{ port: before.port, milters: [before.host.address] }],
    })
    alone.port = postfix.port
  })

  describe.each([
    ['alone', '127.0.3.1', () => alone],
    ['before a greylist that lets nobody pass at first', '127.0.4.1', () => before],
  ] as const)('%s', (_, client, at) => {
    test('who waits is accepted and learned, and passes at once the next time', async () => {
      const { port, states } = at()
      const first = await send(port, client)
      expect(first.code).toBe(250)
      expect(first.held).toBeGreaterThan(HOLD - 0.1)
      const second = await send(port, client)
      expect(second.code).toBe(250)
      expect(second.held).toBeLessThan(HOLD - 0.5)
      expect(states(client)).toEqual(['waited', 'known'])
    })
  })

  test.each(['FIN', 'RST'] as const)('who pipelines MAIL, RCPT, DATA and leaves with %s is not learned', async how => {
    const { host, port, states } = alone
    const client = how === 'FIN' ? '127.0.3.2' : '127.0.3.3'
    const closed = host.eventsOf('session-closed').length
    const connection = await smtp(port, { localAddress: client })
    await connection.command('EHLO client.example')
    connection.write('MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n')
    await sleep(0.5)
    if (how === 'FIN') connection.abortFin()
    else connection.abortRst()
    await until('Postfix is done with it', () => host.eventsOf('session-closed').length > closed)
    const next = await send(port, client)
    expect(next.code === 450 || next.held > HOLD - 0.1, JSON.stringify(next)).toBe(true)
    expect(states(client)).not.toContain('known')
  })
})

requirePrograms('postfix')('speaking before the greeting, held at connect by a host behind Postfix', () => {
  let at: EarlyStand
  let postfix: Postfix

  beforeAll(async () => {
    at = await earlyStand(HOLD)
    postfix = await startPostfix({ milters: [at.host.address] })
  })

  /** The answers to a whole message, greeting first, and to the recipient; `early`: EHLO is sent as soon as Postfix waits. */
  async function talk(client: string, early: boolean): Promise<{ rcpt: string; seconds: number }> {
    const { say, lines, answered, asked } = talker(at.host, postfix.port, client)
    const began = performance.now()
    if (early) {
      // What was there before is in Postfix's own buffer by then: it looks for early commands before it asks its milters.
      await asked()
      say('EHLO client.example')
    }
    await answered(1)
    const seconds = (performance.now() - began) / 1000
    if (!early) say('EHLO client.example')
    await answered(2)
    say('MAIL FROM:<alice@example.com>')
    await answered(3)
    say('RCPT TO:<bob@example.net>')
    await answered(4)
    return { rcpt: lines()[3]!.slice(0, 3), seconds }
  }

  test.each([
    ['a client that sends EHLO before the greeting is an early talker, and greylisted', '127.0.5.1', true, '450'],
    ['a client that waits for the greeting is none', '127.0.5.2', false, '250'],
  ] as const)('%s', async (_, client, early, code) => {
    const { rcpt, seconds } = await talk(client, early)
    expect(rcpt).toBe(code)
    expect(seconds).toBeGreaterThan(HOLD - 0.1)
    expect(at.told.get(client)).toBe(early ? true : undefined)
  })
})
