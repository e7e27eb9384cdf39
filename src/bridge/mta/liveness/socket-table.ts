/**
 * Linux's table of TCP connections, `/proc/net/tcp` and `/proc/net/tcp6`: how an address is written there, and where a
 * connection stands in it. Pure; works on the text that the kernel gives.
 *
 * Addresses are 32-bit words in hexadecimal as they lie in the machine's memory, ports plain hexadecimal. An IPv4 client of a
 * listener for IPv6 stands in `tcp6` as `::ffff:a.b.c.d`. The row number is padded to four places, so that from row 10,000 on every
 * column stands one further right: columns are counted from its colon. A connection is looked for by both ends, never by
 * the client's alone; rows that listen have no far end and are never found.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { endianness } from 'node:os'
import type { Endpoint, SmtpConnection } from '../../../host/time/liveness.ts'

/** What the table says of a connection. */
export const ROW = { missing: 0, established: 1, closeWait: 2, other: 3 } as const
export type RowState = (typeof ROW)[keyof typeof ROW]

/** One connection as it would be written in one of the tables. */
export interface Wanted {
  /** The far end, e.g. `0100007F:C350`. */
  readonly client: string
  /** The near end: one of these, or its port, `:0019`, for any address. */
  readonly servers: readonly string[]
}

/** In each table; `null` where it cannot stand. */
export interface WantedIn {
  readonly tcp: Wanted | null
  readonly tcp6: Wanted | null
}

const MAPPED = '::ffff:'

/** `null` for addresses that are none. */
export function wantedRows(
  { client, servers }: SmtpConnection,
  little: boolean = endianness() === 'LE',
): WantedIn | null {
  const four = (at: Endpoint): string | null => keyOf(fourBytes(at.address), at.port, little)
  const six = (at: Endpoint): string | null => keyOf(sixteenBytes(at.address), at.port, little)
  const inTable = (key: (at: Endpoint) => string | null): Wanted | null => {
    const far = key(client)
    const near = servers.flatMap(at => (at.address === '' ? `:${portText(at.port)}` : (key(at) ?? [])))
    return far === null || near.length === 0 ? null : { client: far, servers: near }
  }
  const wanted = { tcp: inTable(four), tcp6: inTable(six) }
  return wanted.tcp === null && wanted.tcp6 === null ? null : wanted
}

/**
 * Goes through a table once. `wanted`: by far end, each with a number of the caller's, which `found` is given for a row that is this
 * one's. `inode` tells an established socket from a later one between the same ports; `unread`: bytes of its client lie there that
 * nobody has read.
 */
export function findRows(
  table: string,
  wanted: ReadonlyMap<string, readonly (readonly [number, Wanted])[]>,
  found: (index: number, state: RowState, inode: number, unread: boolean) => void,
): void {
  // The first line is a heading.
  for (let at = table.indexOf('\n') + 1; at > 0 && at < table.length; ) {
    const near = table.indexOf(':', at) + 2
    const next = table.indexOf('\n', at) + 1
    const far = table.indexOf(' ', near) + 1
    const state = table.indexOf(' ', far) + 1
    if (near === 1 || far === 0 || state === 0) return
    const somebody = wanted.get(table.slice(far, state - 1))
    if (somebody !== undefined) {
      const end = table.slice(near, far - 1)
      const columns = table.slice(state, next === 0 ? undefined : next - 1)
      for (const [index, { servers }] of somebody)
        if (servers.some(server => end === server || (server.startsWith(':') && end.endsWith(server))))
          found(index, ...rowOf(columns))
    }
    if (next === 0) return
    at = next
  }
}

const ESTABLISHED = '01'
const CLOSE_WAIT = '08'
/** `st tx:rx tr:when retrnsmt uid timeout inode …` */
const QUEUES_COLUMN = 1
const INODE_COLUMN = 6

function rowOf(columns: string): [RowState, number, boolean] {
  const state = columns.slice(0, 2)
  if (state === CLOSE_WAIT) return [ROW.closeWait, 0, false]
  const cut = columns.split(/ +/, INODE_COLUMN + 1)
  const inode = Number(cut[INODE_COLUMN])
  // Without an inode no process has it any more: that is the MTA's own end of it.
  if (state !== ESTABLISHED || !(inode > 0)) return [ROW.other, 0, false]
  return [ROW.established, inode, /:0*[1-9A-F]/.test(cut[QUEUES_COLUMN] ?? '')]
}

function keyOf(bytes: readonly number[] | null, port: number, little: boolean): string | null {
  if (bytes === null) return null
  let text = ''
  for (let word = 0; word < bytes.length; word += 4) {
    const four = bytes.slice(word, word + 4)
    for (const byte of little ? four.reverse() : four) text += hex(byte, 2)
  }
  return `${text}:${portText(port)}`
}

const portText = (port: number): string => hex(port, 4)
const hex = (value: number, places: number): string => value.toString(16).toUpperCase().padStart(places, '0')

function fourBytes(address: string): number[] | null {
  const bare = address.toLowerCase().startsWith(MAPPED) ? address.slice(MAPPED.length) : address
  return isIPv4(bare) ? bare.split('.').map(Number) : null
}

function sixteenBytes(address: string): number[] | null {
  const four = fourBytes(address)
  if (four !== null) return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...four]
  // A zone (%eth0) is not in the table.
  const bare = address.replace(/%.*$/, '')
  if (!isIPv6(bare)) return null
  const [head = '', tail] = bare.replace(/[\d.]+$/, dottedTail).split('::')
  const front = groups(head)
  const back = groups(tail ?? '')
  const zeros = new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0)
  return [...front, ...zeros, ...back].flatMap(group => [group >> 8, group & 0xff])
}

/** `1.2.3.4` at the end of an IPv6 address as its two groups. */
function dottedTail(text: string): string {
  if (!text.includes('.')) return text
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number)
  return `${hex(a * 256 + b, 4)}:${hex(c * 256 + d, 4)}`
}

const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16)))
