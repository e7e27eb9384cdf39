import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { planBatch } from '../../../src/host/message/batch.ts'
import { AT_END, EDIT_KINDS, type Edit, type HeaderRules } from '../../../src/host/message/edit.ts'
import { layoutOf } from '../../../src/host/message/layout.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { PostfixModel } from './model-postfix.ts'
import { SendmailModel } from './model-sendmail.ts'
import { messageOf } from './scripts.ts'

const ALL = new Set(EDIT_KINDS)
const MODELS = { postfix: PostfixModel, sendmail: SendmailModel }
const shown = (message: MessageSnapshot): string[] =>
  layoutOf(message)
    .filter(node => node.state === 'live' || node.kind === 'received')
    .map(node => (node.kind === 'received' ? '(Received)' : `${node.field.name}:${node.field.value}`))

const name = fc.constantFrom(
  'X-A',
  'x-a',
  'X-A',
  'X-B',
  'Date',
  'DATE',
  'Message-Id',
  'message-id',
  'From',
  'Return-Path',
  'return-path',
  'Received',
  'Via',
)
const value = fc.oneof(
  { arbitrary: fc.nat(9).map(n => ` v${n}`), weight: 5 },
  { arbitrary: fc.constantFrom(''), weight: 1 },
)
const header = fc.tuple(name, value)
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('addHeader' as const), name, value }),
  fc.record({
    kind: fc.constant('insertHeader' as const),
    index: fc.oneof(fc.nat(2), fc.nat(18), fc.constant(AT_END)),
    name,
    value,
  }),
  fc.record({ kind: fc.constant('changeHeader' as const), occurrence: fc.nat(4), name, value }),
  fc.record({ kind: fc.constant('removeHeader' as const), occurrence: fc.nat(4), name }),
)
const filters = fc.array(
  fc.record({ rules: fc.constantFrom<HeaderRules>('postfix', 'sendmail'), edits: fc.array(edit, { maxLength: 6 }) }),
  { minLength: 1, maxLength: 3 },
)

describe.each(['postfix', 'sendmail'] as const)('on %s', mta => {
  test('the batch makes the final message', () => {
    fc.assert(
      fc.property(fc.array(header, { maxLength: 7 }), filters, (headers, list) => {
        const original = messageOf(headers)
        let message = original
        for (const { rules, edits } of list) message = applyEdits(message, edits, rules).message
        const model = new MODELS[mta](headers)
        for (const e of planBatch(original, message, mta, ALL).edits)
          model.edit(
            e.kind === 'changeHeader' && e.value === ''
              ? { kind: 'removeHeader', name: e.name, occurrence: e.occurrence }
              : e,
          )
        const got = model.delivered().filter(line => !/^\((?!Received)/.test(line))
        expect(got).toEqual(shown(message))
      }),
      { numRuns: 20000 },
    )
  })
})
