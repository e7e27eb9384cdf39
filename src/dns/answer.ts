/**
 * What a name server sent, read with suspicion: is it the answer to this query, and what does it hold?
 *
 * Only the records that were asked for, the CNAMEs that lead to them, SOA and OPT are decoded; every length is checked before, so
 * that a lie is `broken` and never an exception, a hang or a record of somebody else. The rdata itself is decoded by
 * dns-packet. The work for one answer is bounded by its size and `MOST_RECORDS`.
 */
import dnsPacket from 'dns-packet'
import { HEADER_BYTES, type Query, type RecordType, TYPE_NUMBERS } from './query.ts'

/** dns-packet exports its decoders; its types know only the whole packet. They read a length before the rdata. */
interface Decoders {
  readonly name: { decode(bytes: Buffer, at: number): string }
  readonly aaaa: { decode(bytes: Buffer, at: number): string }
  readonly txt: { decode(bytes: Buffer, at: number): readonly Buffer[] }
}
const decoders = dnsPacket as unknown as Decoders

export interface Records {
  A: string
  AAAA: string
  MX: { readonly exchange: string; readonly priority: number }
  TXT: string
  PTR: string
}

export type AnyRecord = Records[RecordType]

export type Reading =
  /** Not an answer to this query: wait on. */
  | { readonly kind: 'foreign' }
  /** From this server, but it cannot be used. */
  | { readonly kind: 'broken'; readonly why: string }
  /** It did not fit: ask again over TCP. */
  | { readonly kind: 'truncated' }
  /** The server does not know EDNS: ask again without it. */
  | { readonly kind: 'no-edns' }
  | { readonly kind: 'failure'; readonly code: 'ESERVFAIL' | 'EREFUSED' }
  | Outcome

/** What is known of a name and a type. `ttl` in seconds. */
export type Outcome =
  | { readonly kind: 'records'; readonly records: readonly AnyRecord[]; readonly ttl: number }
  | { readonly kind: 'none'; readonly code: 'ENOTFOUND' | 'ENODATA'; readonly ttl: number }
  /** A TXT record is longer than `MOST_TXT`. */
  | { readonly kind: 'none'; readonly code: 'EMSGSIZE'; readonly ttl: number }

/** Records of one answer, all sections. What honest names have is far below; each costs time to read. */
const MOST_RECORDS = 1024
/** Characters of one TXT record. Parsers of SPF and DKIM records need time that grows with the square of it. */
export const MOST_TXT: number = 8 * 1024
const MOST_CNAMES = 16

const NOERROR = 0
const FORMERR = 1
const NXDOMAIN = 3
const NOTIMP = 4
const REFUSED = 5
const BADVERS = 16

interface Entry {
  readonly section: 'answer' | 'authority' | 'additional'
  readonly ownerAt: number
  readonly type: number
  readonly ttl: number
  readonly rdataAt: number
  readonly length: number
}

class Broken extends Error {}

export function readAnswer(bytes: Buffer, query: Query): Reading {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== query.id) return { kind: 'foreign' }
  const flags = bytes.readUInt16BE(2)
  const isAnswer = (flags & 0x8000) !== 0 && (flags & 0x7800) === 0
  if (!isAnswer) return { kind: 'foreign' }
  const code = flags & 0xf
  const questions = bytes.readUInt16BE(4)
  // A server that could not read the query may leave the question out; nobody learns anything from that.
  if (questions === 0 && code !== NOERROR && code !== NXDOMAIN) return failureOf(code)
  if (questions !== 1 || !sameQuestion(bytes, query)) return { kind: 'foreign' }
  if ((flags & 0x0200) !== 0) return { kind: 'truncated' }
  try {
    const entries = readEntries(bytes, query.questionEnd)
    const opt = entries.find(({ section, type }) => section === 'additional' && type === TYPE_NUMBERS.OPT)
    // The OPT record's TTL begins with the upper eight bits of the code.
    const extended = opt === undefined ? code : ((opt.ttl >>> 24) << 4) | code
    if (extended !== NOERROR && extended !== NXDOMAIN) return failureOf(extended)
    return outcomeOf(bytes, query, entries, extended, (flags & 0x0400) !== 0)
  } catch (error) {
    // The decoders of dns-packet throw plain errors and range errors for what they cannot read.
    return { kind: 'broken', why: error instanceof Error ? error.message : String(error) }
  }
}

function failureOf(code: number): Reading {
  if (code === FORMERR || code === NOTIMP || code === BADVERS) return { kind: 'no-edns' }
  return { kind: 'failure', code: code === REFUSED ? 'EREFUSED' : 'ESERVFAIL' }
}

/** Servers give the question back as it was, a few in another case. */
function sameQuestion(bytes: Buffer, { bytes: asked, questionEnd }: Query): boolean {
  if (bytes.length < questionEnd) return false
  for (let at = HEADER_BYTES; at < questionEnd; at++) {
    if (lower(bytes[at]!) !== lower(asked[at]!)) return false
  }
  return true
}

const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)

function readEntries(bytes: Buffer, start: number): Entry[] {
  const sections = [
    ['answer', bytes.readUInt16BE(6)],
    ['authority', bytes.readUInt16BE(8)],
    ['additional', bytes.readUInt16BE(10)],
  ] as const
  const entries: Entry[] = []
  let at = start
  for (const [section, count] of sections) {
    if (entries.length + count > MOST_RECORDS) throw new Broken('it has too many records')
    for (let i = 0; i < count; i++) {
      const ownerAt = at
      at = afterName(bytes, at)
      if (at + 10 > bytes.length) throw new Broken('a record is cut off')
      const type = bytes.readUInt16BE(at)
      const ttl = bytes.readUInt32BE(at + 4)
      const length = bytes.readUInt16BE(at + 8)
      const rdataAt = at + 10
      at = rdataAt + length
      if (at > bytes.length) throw new Broken('a record is longer than the answer')
      const inClass = bytes.readUInt16BE(rdataAt - 8) === 1 || type === TYPE_NUMBERS.OPT
      if (inClass) entries.push({ section, ownerAt, type, ttl, rdataAt, length })
    }
  }
  return entries
}

/** Behind a name, without following its pointers. */
function afterName(bytes: Buffer, start: number): number {
  let at = start
  for (;;) {
    const length = bytes[at]
    if (length === undefined) throw new Broken('a name is cut off')
    if (length === 0) return at + 1
    if ((length & 0xc0) === 0xc0) return at + 2
    if ((length & 0xc0) !== 0) throw new Broken('a name has a label of an unknown kind')
    at += length + 1
  }
}

function outcomeOf(
  bytes: Buffer,
  query: Query,
  entries: readonly Entry[],
  code: number,
  authoritative: boolean,
): Reading {
  const answers = entries
    .filter(({ section, type }) => section === 'answer' && (type === TYPE_NUMBERS[query.type] || isCname(type)))
    .map(entry => ({ entry, owner: nameAt(bytes, entry.ownerAt) }))
  let owner = nameAt(bytes, HEADER_BYTES)
  let ttl = Number.POSITIVE_INFINITY
  const seen = new Set<string>()
  for (;;) {
    const alias = answers.find(answer => answer.owner === owner && isCname(answer.entry.type))
    if (alias === undefined) break
    seen.add(owner)
    ttl = Math.min(ttl, secondsOf(alias.entry.ttl))
    owner = rdataName(bytes, alias.entry, 0)
    if (seen.has(owner) || seen.size > MOST_CNAMES) throw new Broken('its CNAMEs lead nowhere')
  }
  const found = answers.filter(answer => answer.owner === owner && !isCname(answer.entry.type))
  if (code === NXDOMAIN || found.length === 0) {
    const soa = entries.find(({ section, type }) => section === 'authority' && type === TYPE_NUMBERS.SOA)
    if (code === NOERROR && soa === undefined && !authoritative && seen.size === 0 && isReferral(entries)) {
      throw new Broken('it refers to other servers; a resolver that recurses is needed')
    }
    const negative = soa === undefined ? 0 : Math.min(secondsOf(soa.ttl), secondsOf(minimumOf(bytes, soa)), ttl)
    return { kind: 'none', code: code === NXDOMAIN ? 'ENOTFOUND' : 'ENODATA', ttl: negative }
  }
  for (const { entry } of found) ttl = Math.min(ttl, secondsOf(entry.ttl))
  const records: AnyRecord[] = []
  for (const { entry } of found) {
    const record = decodeRecord(bytes, query.type, entry)
    if (typeof record === 'string' && record.length > MOST_TXT) return { kind: 'none', code: 'EMSGSIZE', ttl }
    records.push(record)
  }
  return { kind: 'records', records, ttl }
}

const isCname = (type: number): boolean => type === TYPE_NUMBERS.CNAME

const isReferral = (entries: readonly Entry[]): boolean =>
  entries.some(({ section, type }) => section === 'authority' && type === TYPE_NUMBERS.NS)

/** RFC 2181 §8: a TTL with the highest bit set is zero. */
const secondsOf = (ttl: number): number => (ttl > 0x7fff_ffff ? 0 : ttl)

function decodeRecord(bytes: Buffer, type: RecordType, entry: Entry): AnyRecord {
  const { rdataAt, length } = entry
  switch (type) {
    case 'A':
      if (length !== 4) throw new Broken('an A record has not four bytes')
      return bytes.subarray(rdataAt, rdataAt + 4).join('.')
    case 'AAAA':
      if (length !== 16) throw new Broken('an AAAA record has not sixteen bytes')
      return decoders.aaaa.decode(bytes, rdataAt - 2)
    case 'MX':
      if (length < 3) throw new Broken('an MX record is too short')
      return { exchange: rdataName(bytes, entry, 2, false), priority: bytes.readUInt16BE(rdataAt) }
    case 'PTR':
      return rdataName(bytes, entry, 0, false)
    case 'TXT':
      // One character a byte: what is in a TXT record is the reader's to decode.
      return Buffer.concat(decoders.txt.decode(bytes, rdataAt - 2)).toString('latin1')
  }
}

/** A name that ends where the record ends. */
function rdataName(bytes: Buffer, { rdataAt, length }: Entry, offset: number, fold = true): string {
  const at = rdataAt + offset
  if (afterName(bytes, at) !== rdataAt + length) throw new Broken('a name does not fill its record')
  return nameAt(bytes, at, fold)
}

/** Without the final dot; the root is the empty text. */
function nameAt(bytes: Buffer, at: number, fold = true): string {
  const name = decoders.name.decode(bytes, at)
  return name === '.' ? '' : fold ? name.toLowerCase() : name
}

function minimumOf(bytes: Buffer, { rdataAt, length }: Entry): number {
  const numbersAt = afterName(bytes, afterName(bytes, rdataAt))
  if (numbersAt + 20 !== rdataAt + length) throw new Broken('an SOA record has a wrong length')
  return bytes.readUInt32BE(numbersAt + 16)
}
