/**
 * fast-check generators for everything that can stand on the wire: byte strings, commands, replies, negotiations. They
 * make canonical values, those that decoding gives back. For the property tests of the codec.
 */

import * as fc from 'fast-check'
import type { Command, Macro, Negotiation, Reply, SymbolList } from '../../../src/bridge/wire/index.ts'

/** Any bytes but NUL. */
export const text: fc.Arbitrary<string> = bytesFrom(1, 255)
const bytes: fc.Arbitrary<Buffer> = fc.uint8Array({ maxLength: 300 }).map(array => Buffer.from(array))
const u16: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xffff })
export const u32: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xffffffff })

const macroName: fc.Arbitrary<string> = text.filter(name => name !== '' && !/[{}]/.test(name))
export const macros: fc.Arbitrary<Macro[]> = fc.array(fc.tuple(macroName, text), { maxLength: 8 })

const symbols: fc.Arbitrary<SymbolList[]> = fc.array(fc.record({ stage: u32, names: text }), { maxLength: 8 })
export const offer: fc.Arbitrary<Negotiation> = fc.record({
  version: u32,
  actions: u32,
  protocol: u32,
  symbols: fc.constant([]),
})
export const answer: fc.Arbitrary<Negotiation> = fc.record({ version: u32, actions: u32, protocol: u32, symbols })

const connect: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constant('connect' as const),
    host: text,
    family: fc.constantFrom('inet' as const, 'inet6' as const, 'unix' as const),
    port: u16,
    address: text,
  }),
  text.map(host => ({ kind: 'connect' as const, host, family: 'unknown' as const, port: 0, address: '' })),
)

export const command: fc.Arbitrary<Command> = fc.oneof(
  offer.map(value => ({ kind: 'negotiate' as const, ...value })),
  fc.record({ kind: fc.constant('macros' as const), for: fc.integer({ min: 0, max: 255 }), macros }),
  connect,
  text.map(name => ({ kind: 'helo' as const, name })),
  fc.record({ kind: fc.constantFrom('mail' as const, 'rcpt' as const), path: text, parameters: fc.array(text) }),
  fc.constantFrom('data', 'eoh', 'abort', 'quit', 'quit-nc').map(kind => ({ kind }) as Command),
  fc.record({ kind: fc.constant('header' as const), name: text, value: text }),
  fc.record({ kind: fc.constantFrom('body' as const, 'eom' as const), chunk: bytes }),
  text.map(line => ({ kind: 'unknown' as const, line })),
)

const bare = [
  'continue',
  'accept',
  'reject',
  'tempfail',
  'discard',
  'skip',
  'progress',
  'conn-fail',
  'shutdown',
] as const

export const reply: fc.Arbitrary<Reply> = fc.oneof(
  answer.map(value => ({ kind: 'negotiate' as const, ...value })),
  fc.constantFrom(...bare).map(kind => ({ kind })),
  text.map(value => ({ kind: 'replycode' as const, text: value })),
  fc.record({ kind: fc.constantFrom('add-recipient' as const, 'delete-recipient' as const), path: text }),
  fc.record({
    kind: fc.constantFrom('add-recipient-with-parameters' as const, 'change-sender' as const),
    path: text,
    parameters: fc.option(text),
  }),
  fc.record({ kind: fc.constant('add-header' as const), name: text, value: text }),
  fc.record({
    kind: fc.constantFrom('insert-header' as const, 'change-header' as const),
    index: u32,
    name: text,
    value: text,
  }),
  bytes.map(chunk => ({ kind: 'replace-body' as const, chunk })),
  text.map(reason => ({ kind: 'quarantine' as const, reason })),
)

/** A stream cut at arbitrary places: the pieces, some of them empty. */
export function split(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map(cut => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length]
  return places.slice(1).map((end, index) => stream.subarray(places[index], end))
}

function bytesFrom(min: number, max: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.integer({ min, max }).map(code => String.fromCharCode(code)), maxLength: 40 })
}
