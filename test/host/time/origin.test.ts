import { expect, it } from 'vitest'
import { originOf } from '../../../src/host/time/origin.ts'

it.each([
  ['192.0.2.7', '192.0.2.7', '192.0.2.0/24'],
  ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2.0/24'],
  ['::ffff:c000:207', '192.0.2.7', '192.0.2.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', '2001:db8:1::/48'],
  ['2001:DB8:1:2::9', '2001:db8:1:2::/64', '2001:db8:1::/48'],
  ['2001:db8::1', '2001:db8:0:0::/64', '2001:db8:0::/48'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64', 'fe80:0:0::/48'],
  ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64', '64:ff9b:0::/48'],
  ['::', '0:0:0:0::/64', '0:0:0::/48'],
])('%s is %s in %s', (address, client, network) => {
  expect(originOf({ address })).toEqual({ client, network })
})

it.each(['', '/run/client.sock', 'unknown', '192.0.2', '192.0.2.256', ':::', '1'.repeat(100_000)])(
  'what is no address has no origin: %.20s',
  address => {
    expect(originOf({ address })).toBeNull()
  },
)
