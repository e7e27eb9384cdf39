// Clients that may speak before the greeting, held at connect by a tarpit behind a real MTA: the host, and such a client.

import { connect } from 'node:net'
import { definePlugin } from 'milterhost/plugin'
import { onTestFinished } from 'vitest'
import tarpit, { EARLY_TALKER } from '../../../plugins/tarpit/src/index.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import { until } from '../harness/index.ts'

export interface EarlyStand {
  host: RunningHost
  /** What a filter after the tarpit is told of each client, by address. */
  told: ReadonlyMap<string, boolean | undefined>
}

/** `hold`: seconds. */
export async function earlyStand(hold: number): Promise<EarlyStand> {
  const told = new Map<string, boolean | undefined>()
  const reader = definePlugin({
    name: 'reader',
    setup: () => ({
      helo(event) {
        told.set(event.client.address, event.result(EARLY_TALKER))
      },
    }),
  })
  const filter = tarpit({
    at: 'connect',
    hold,
    earlyTalkers: true,
    suspect: { when: () => true },
    bypass: { local: false },
    store: 'memory',
  })
  return { host: await startHost({ filters: [filter, reader()] }), told }
}

export interface Talker {
  say(line: string): void
  /** The last lines of the replies so far, the greeting first. */
  lines(): string[]
  answered(count: number): Promise<unknown>
  /** Until the MTA has asked the host about this client. */
  asked(): Promise<unknown>
}

/** `client`: its own address, of 127/8. */
export function talker(host: RunningHost, port: number, client: string): Talker {
  const socket = connect({ port, host: '127.0.0.1', localAddress: client })
  onTestFinished(() => void socket.destroy())
  let text = ''
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
  })
  const lines = (): string[] => text.split('\r\n').filter(line => /^\d{3} /.test(line))
  return {
    say: line => void socket.write(`${line}\r\n`),
    lines,
    answered: count => until(`${count} answers to ${client}`, () => lines().length >= count),
    asked: () =>
      until('the host is asked', () =>
        host.eventsOf('session-opened').some(({ client: of }) => of?.address === client),
      ),
  }
}
