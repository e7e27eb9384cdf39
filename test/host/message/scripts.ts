/**
 * Random messages and edit scripts for the tests of the edit engine, dense in what goes wrong: few names in several
 * spellings, names that the MTA treats in its own way, small numbers and very large ones.
 */
import fc from 'fast-check'
import { emptyBody } from '../../../src/host/message/body.ts'
import { AT_END, type Edit, type HeaderRules } from '../../../src/host/message/edit.ts'
import { type MessageSnapshot, receivedMessage } from '../../../src/host/message/snapshot.ts'

export type Headers = readonly (readonly [string, string])[]

const names = ['X-Foo', 'x-foo', 'X-FOO', 'X-Bar', 'x-bar', 'Subject', 'Received', 'RECEIVED', 'Via']
const special = ['Date', 'date', 'From', 'Message-Id', 'message-id', 'Return-Path', 'return-path', 'Resent-Date']

export const anyName: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: fc.constantFrom(...names), weight: 3 },
  { arbitrary: fc.constantFrom(...special), weight: 1 },
)
const anyValue: fc.Arbitrary<string> = fc.nat(99).map(n => ` v${n}`)
const anyIndex: fc.Arbitrary<number> = fc.oneof(fc.nat(3), fc.nat(16), fc.constantFrom(100, AT_END))

export const anyHeaders: fc.Arbitrary<Headers> = fc.array(fc.tuple(anyName, anyValue), { maxLength: 8 })

const anyHeaderEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('addHeader' as const), name: anyName, value: anyValue }),
  fc.record({ kind: fc.constant('insertHeader' as const), index: anyIndex, name: anyName, value: anyValue }),
  fc.record({ kind: fc.constant('changeHeader' as const), occurrence: fc.nat(4), name: anyName, value: anyValue }),
  fc.record({ kind: fc.constant('removeHeader' as const), occurrence: fc.nat(4), name: anyName }),
)

/** What one to three filters send, one after the other. */
export const anyChain: fc.Arbitrary<Edit[][]> = fc.array(fc.array(anyHeaderEdit, { maxLength: 8 }), {
  minLength: 1,
  maxLength: 3,
})

export const anyRules: fc.Arbitrary<HeaderRules> = fc.constantFrom('sendmail', 'postfix')

export const messageOf = (headers: Headers): MessageSnapshot =>
  receivedMessage({
    id: 'm',
    sender: { raw: '<a@a.example>', args: [] },
    recipients: [{ raw: '<b@b.example>', args: [] }],
    fields: headers.map(([name, value]) => ({ name, value })),
    body: emptyBody,
  })

export const textOf = (message: MessageSnapshot): string[] =>
  message.headers.map(({ name, value }) => `${name}:${value}`)
