import { expect, it } from 'vitest'
import type { Client } from '../../../src/host/events.ts'
import { MacroStore } from '../../../src/host/macros.ts'
import { smtpConnection } from '../../../src/host/time/presence.ts'

const CLIENT: Client = { family: 'inet', address: '192.0.2.1', port: 4321, hostname: 'client.example' }

function servers(
  macros: Readonly<Record<string, string>>,
  addresses = [] as { address: string; port: number }[],
): unknown {
  const store = new MacroStore()
  store.set('connect', new Map(Object.entries(macros)))
  return smtpConnection(CLIENT, store, addresses)?.servers ?? null
}

it.each([
  ['Postfix', { daemon_addr: '192.0.2.25', daemon_port: '25' }, [{ address: '192.0.2.25', port: 25 }]],
  [
    'Postfix with IPv6',
    { daemon_addr: 'IPv6:2001:db8::25', daemon_port: '587' },
    [{ address: '2001:db8::25', port: 587 }],
  ],
  [
    'Sendmail that listens everywhere, on loopback',
    { daemon_addr: '0.0.0.0', daemon_port: '25' },
    [{ address: '', port: 25 }],
  ],
  [
    'Sendmail that listens everywhere with IPv6',
    { daemon_addr: 'IPv6:::', daemon_port: '25' },
    [{ address: '', port: 25 }],
  ],
  [
    'Sendmail that tells where this connection came in',
    { daemon_addr: '0.0.0.0', daemon_port: '25', if_addr: '192.0.2.25' },
    [{ address: '192.0.2.25', port: 25 }],
  ],
  ['an address in brackets', { daemon_addr: '[192.0.2.25]', daemon_port: '25' }, [{ address: '192.0.2.25', port: 25 }]],
  ['no port', { daemon_addr: '192.0.2.25' }, null],
  ['a port that is none', { daemon_addr: '192.0.2.25', daemon_port: 'smtp' }, null],
  ['a port out of range', { daemon_addr: '192.0.2.25', daemon_port: '65536' }, null],
] as const)('%s', (_, macros, expected) => {
  expect(servers(macros)).toEqual(expected)
})

it('addresses of the configuration stand for what the MTA says', () => {
  const addresses = [
    { address: '', port: 25 },
    { address: '', port: 587 },
  ]
  expect(servers({ daemon_addr: '192.0.2.25', daemon_port: '2525' }, addresses)).toEqual(addresses)
})

it.each([{ port: 0 }, { family: 'unix' }, { family: 'unknown' }] as const)(
  'no connection for a client like %j',
  change => {
    const addresses = [{ address: '', port: 25 }]
    expect(smtpConnection({ ...CLIENT, ...change }, new MacroStore(), addresses)).toBeNull()
    expect(smtpConnection(null, new MacroStore(), addresses)).toBeNull()
  },
)
