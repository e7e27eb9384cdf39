import { describe, expect, it } from 'vitest'
import {
  findRows,
  ROW,
  type RowState,
  type Wanted,
  wantedRows,
} from '../../../../src/bridge/mta/liveness/socket-table.ts'
import type { Endpoint } from '../../../../src/host/time/liveness.ts'

interface Line {
  readonly near: string
  readonly far: string
  readonly state?: string
  readonly inode?: number
  readonly queues?: string
}

/** As `tcp4_seq_show` and `tcp6_seq_show` of Linux 6 write it, lines of IPv4 padded to 149 places. */
function table(lines: readonly Line[], first = 0): string {
  const rows = lines.map(({ near, far, state = '01', inode = 4711, queues = '00000000:00000000' }, index) => {
    const row = `${String(first + index).padStart(4)}: ${near} ${far} ${state} ${queues} 00:00000000 00000000  1000        0 ${inode} 1 0000000000000000 20 4 30 10 -1`
    return near.length > 20 ? `${row}\n` : `${row.padEnd(149)}\n`
  })
  return `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n${rows.join('')}`
}

function find(text: string, wanted: Wanted): [RowState, number][] {
  const found: [RowState, number][] = []
  findRows(text, new Map([[wanted.client, [[0, wanted]]]]), (_, state, inode) => found.push([state, inode]))
  return found
}

const at = (address: string, port: number): Endpoint => ({ address, port })
const rows = (client: Endpoint, ...servers: Endpoint[]): ReturnType<typeof wantedRows> =>
  wantedRows({ client, servers }, true)

describe('how a connection is written in the table', () => {
  it('IPv4: the bytes as a number of a little-endian machine, and mapped in tcp6', () => {
    expect(rows(at('192.0.2.1', 50_000), at('127.0.0.1', 25))).toEqual({
      tcp: { client: '010200C0:C350', servers: ['0100007F:0019'] },
      tcp6: {
        client: '0000000000000000FFFF0000010200C0:C350',
        servers: ['0000000000000000FFFF00000100007F:0019'],
      },
    })
  })

  it('IPv4 on a big-endian machine', () => {
    const wanted = wantedRows({ client: at('192.0.2.1', 1), servers: [at('10.0.0.1', 25)] }, false)
    expect(wanted?.tcp).toEqual({ client: 'C0000201:0001', servers: ['0A000001:0019'] })
  })

  it('IPv6 stands in tcp6 only', () => {
    expect(rows(at('2001:db8::42', 4000), at('::1', 587))).toEqual({
      tcp: null,
      tcp6: { client: 'B80D0120000000000000000042000000:0FA0', servers: ['00000000000000000000000001000000:024B'] },
    })
  })

  it.each(['2001:DB8:0:0:0:0:0:42', '2001:db8::42%eth0', '2001:db8::0.0.0.66'])('%s is the same address', spelling => {
    expect(rows(at(spelling, 4000), at('', 25))?.tcp6?.client).toBe('B80D0120000000000000000042000000:0FA0')
  })

  it('a mapped address is the IPv4 one', () => {
    expect(rows(at('::FFFF:192.0.2.1', 9), at('', 25))?.tcp?.client).toBe('010200C0:0009')
  })

  it('any address of the machine is its port, and an address of the other family is passed over', () => {
    expect(rows(at('192.0.2.1', 9), at('', 25), at('::1', 26))?.tcp?.servers).toEqual([':0019'])
  })

  it.each(['', 'localhost', '1.2.3', 'unix', '1.2.3.4.5', 'fe80::zz'])('%j is no address', address => {
    expect(rows(at(address, 25), at('', 25))).toBeNull()
  })
})

describe('finding rows', () => {
  const wanted = rows(at('192.0.2.1', 50_000), at('127.0.0.1', 25))!
  const [near, far] = ['0100007F:0019', '010200C0:C350']

  it.each([
    ['01', [ROW.established, 4711]],
    ['08', [ROW.closeWait, 0]],
    ['09', [ROW.other, 0]],
    ['06', [ROW.other, 0]],
  ] as const)('state %s', (state, expected) => {
    expect(find(table([{ near, far, state }]), wanted.tcp!)).toEqual([expected])
  })

  it('an established row without an inode is nobody’s any more', () => {
    expect(find(table([{ near, far, inode: 0 }]), wanted.tcp!)).toEqual([[ROW.other, 0]])
  })

  it.each([
    ['00000000:00000000', false],
    ['00000025:00000000', false],
    ['00000000:00000014', true],
    ['00000025:10000000', true],
  ])('queues %s: bytes of the client lie unread: %s', (queues, expected) => {
    for (const first of [0, 99_998]) {
      const found: boolean[] = []
      const text = table(
        [
          { near, far: '010200C0:0001' },
          { near, far, queues },
        ],
        first,
      )
      findRows(text, new Map([[far, [[0, wanted.tcp!]]]]), (_, __, ___, unread) => found.push(unread))
      expect(found).toEqual([expected])
    }
  })

  it('columns move by one from row 10,000 on', () => {
    for (const first of [9_997, 99_997, 999_997]) {
      const other = (n: number): Line => ({ near, far: `010200C0:${n.toString(16).toUpperCase().padStart(4, '0')}` })
      const lines = [other(1), other(2), other(3), other(4), { near, far, state: '08' }, other(5)]
      expect(find(table(lines, first), wanted.tcp!), `from ${first}`).toEqual([[ROW.closeWait, 0]])
    }
  })

  it('every one of 25,000 connections is found, in either table', () => {
    for (const family of ['tcp', 'tcp6'] as const) {
      const connections = Array.from({ length: 25_000 }, (_, n) => ({
        client:
          family === 'tcp' ? at(`10.${n >> 12}.1.${n & 255}`, 1024 + (n >> 4)) : at(`2001:db8::${n.toString(16)}`, 999),
        servers: [family === 'tcp' ? at('192.0.2.25', 25) : at('2001:db8::25', 25)],
      }))
      const places = connections.map(connection => wantedRows(connection, true)![family]!)
      const text = table(
        places.map(({ client, servers }, n) => ({
          near: servers[0]!,
          far: client,
          inode: n + 1,
          state: n % 7 === 0 ? '08' : '01',
        })),
      )
      const byFarEnd = new Map(places.map((place, n) => [place.client, [[n, place] as const]]))
      const found = new Array<string>(25_000).fill('missing')
      findRows(text, byFarEnd, (n, state, inode) => {
        found[n] = `${state} ${inode}`
      })
      expect(found).toEqual(found.map((_, n) => (n % 7 === 0 ? `${ROW.closeWait} 0` : `${ROW.established} ${n + 1}`)))
    }
  })

  it('the near end counts as well as the far one', () => {
    const text = table([
      { near: '0100007F:0A19', far, state: '08' },
      { near: '0200007F:0019', far },
    ])
    expect(find(text, wanted.tcp!)).toEqual([])
    expect(find(text, { client: far, servers: [':0019'] })).toEqual([[ROW.established, 4711]])
  })

  it('the client’s own end of a connection on one machine, and a listener, are somebody else’s', () => {
    const text = table([
      { near: far, far: near, state: '05' },
      { near, far: '00000000:0000', state: '0A' },
    ])
    expect(find(text, wanted.tcp!)).toEqual([])
  })

  it('IPv4 client of a listener for IPv6', () => {
    const text = table([
      { near: '0000000000000000FFFF00000100007F:0019', far: '0000000000000000FFFF0000010200C0:C350' },
    ])
    expect(find(text, wanted.tcp6!)).toEqual([[ROW.established, 4711]])
  })

  it.each([
    ['', []],
    ['heading only\n', []],
    ['heading\n   0: 0100007F:0019', []],
    [table([{ near, far }]).slice(0, -1).trimEnd(), [[ROW.established, 4711]]],
    [`heading\n${'no colon here '.repeat(20)}\n`, []],
  ] as const)('a table that is cut off: %#', (text, expected) => {
    expect(find(text, wanted.tcp!)).toEqual(expected)
  })
})
