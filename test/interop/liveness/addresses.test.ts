// `mta.addresses` stand in the place of what the MTA says of itself: clients are looked for there and nowhere else.

import { definePlugin } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { type RunningHost, startHost } from '../harness/host.ts'
import { freePort, requirePrograms, type SmtpClient, sleep, smtp, startPostfix } from '../harness/index.ts'

const WAIT = 8

const wait = definePlugin({
  name: 'wait',
  setup: () => ({
    async rcpt(event) {
      await event.hold(WAIT)
    },
  }),
})

requirePrograms('postfix')('mta.addresses', () => {
  test('clients are found where it says, whatever the MTA says; an address that is not the MTA’s finds nobody', async () => {
    const ports = await Promise.all(Array.from({ length: 3 }, () => freePort()))
    const told = [[`127.0.0.1:${ports[0]}`], ['192.0.2.1:25', `*:${ports[1]}`], [`192.0.2.1:${ports[2]}`]]
    const hosts = await Promise.all(told.map(addresses => startHost({ mta: { addresses }, filters: [wait()] })))
    await startPostfix({
      also: hosts.map(({ address }, n) => ({ port: ports[n]!, milters: [address] })),
    })
    const clients = await Promise.all(ports.map(waiting))
    await sleep(2)
    for (const client of clients) client.abortFin()
    const left = (host: RunningHost): number => host.eventsOf('client-left').length
    for (const host of hosts.slice(0, 2)) await host.waitFor('it is noticed', () => left(host) === 1, WAIT - 3)
    for (const host of hosts)
      await host.waitFor('the session has ended', () => host.eventsOf('session-closed').length > 0)
    expect(hosts.map(left)).toEqual([1, 1, 0])
    expect(hosts.flatMap(({ complaints }) => complaints)).toEqual([])
  })
})

async function waiting(port: number): Promise<SmtpClient> {
  const client = await smtp(port)
  await client.command('EHLO client.example')
  await client.command('MAIL FROM:<alice@example.com>')
  client.send('RCPT TO:<bob@example.com>')
  return client
}
