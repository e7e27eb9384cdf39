/**
 * One question as bytes: recursion wanted, EDNS unless the server does not know it.
 *
 * The id is the caller's to choose at random. No cookie, no padding, no DNSSEC records: the resolver that this stub asks
 * validates (`docs/configuration.md`, DNS).
 */
import dnsPacket, { type OptAnswer } from 'dns-packet'

/** The types that are asked for. */
export type RecordType = 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR'

export const TYPE_NUMBERS: Readonly<Record<RecordType | 'NS' | 'CNAME' | 'SOA' | 'OPT', number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  OPT: 41,
}

/** What a UDP answer may hold: no fragments on any path (DNS flag day 2020). */
const UDP_PAYLOAD = 1232

const OPT: OptAnswer = {
  name: '.',
  type: 'OPT',
  udpPayloadSize: UDP_PAYLOAD,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
}

export interface Query {
  readonly id: number
  readonly name: string
  readonly type: RecordType
  readonly bytes: Buffer
  /** Where the question ends in `bytes`; it begins behind the header. */
  readonly questionEnd: number
}

export const HEADER_BYTES = 12

/** `name` must have come from `wireName`. */
export function makeQuery(id: number, name: string, type: RecordType, edns: boolean): Query {
  const bytes = dnsPacket.encode({
    type: 'query',
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type, class: 'IN' }],
    additionals: edns ? [OPT] : [],
  })
  // The name as labels: a length byte for each dot, one more in front, and the root.
  return { id, name, type, bytes, questionEnd: HEADER_BYTES + Buffer.byteLength(name) + 2 + 4 }
}
