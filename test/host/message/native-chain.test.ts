import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { planBatch } from '../../../src/host/message/batch.ts'
import { AT_END, EDIT_KINDS, type Edit, type EditKind, type HeaderRules } from '../../../src/host/message/edit.ts'
import { isShown, layoutOf } from '../../../src/host/message/layout.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { PostfixModel } from './model-postfix.ts'
import { SendmailModel } from './model-sendmail.ts'
import { anyChain, anyHeaders, anyRules, type Headers, messageOf, textOf } from './scripts.ts'

const ALL: ReadonlySet<EditKind> = new Set(EDIT_KINDS)
const MODELS = { sendmail: SendmailModel, postfix: PostfixModel }

const run = (original: MessageSnapshot, chain: readonly Edit[][], rules: readonly HeaderRules[]): MessageSnapshot =>
  chain.reduce((message, edits, at) => applyEdits(message, edits, rules[at] ?? 'sendmail').message, original)

function told(mta: 'sendmail' | 'postfix', headers: Headers, edits: readonly Edit[]): SendmailModel | PostfixModel {
  const model = new MODELS[mta](headers)
  model.show()
  for (const edit of edits) model.edit(edit)
  return model
}

const headerBatch = (
  mta: 'sendmail' | 'postfix' | 'unknown',
  headers: Headers,
  ...chain: Edit[][]
): readonly Edit[] => {
  const original = messageOf(headers)
  const rules = chain.map((): HeaderRules => (mta === 'postfix' ? 'postfix' : 'sendmail'))
  return planBatch(original, run(original, chain, rules), mta, ALL).edits
}

const withReceived = (message: MessageSnapshot): string[] =>
  layoutOf(message)
    .filter(node => isShown(node) || node.kind === 'received')
    .map(node => (node.kind === 'received' ? '(Received)' : `${node.field.name}:${node.field.value}`))

describe.each(['sendmail', 'postfix'] as const)('one batch to %s', mta => {
  test('delivers what the milters of the chain would deliver one after the other', () => {
    fc.assert(
      fc.property(anyHeaders, anyChain, (headers, chain) => {
        const native = new MODELS[mta](headers)
        for (const edits of chain) {
          native.show()
          for (const edit of edits) native.edit(edit)
        }
        const batch = headerBatch(mta, headers, ...chain)
        expect(told(mta, headers, batch).delivered()).toEqual(native.delivered())
      }),
      { numRuns: 3000 },
    )
  })

  test('gives the message of the chain whatever rules its filters were written for', () => {
    fc.assert(
      fc.property(anyHeaders, anyChain, fc.array(anyRules, { minLength: 3, maxLength: 3 }), (headers, chain, rules) => {
        const original = messageOf(headers)
        const final = run(original, chain, rules)
        const { edits, dropped } = planBatch(original, final, mta, ALL)
        expect(dropped).toEqual([])
        const model = told(mta, headers, edits)
        expect(model.show()).toEqual(textOf(final))
        const defaults = /^\((?!Received)/
        expect(model.delivered().filter(line => !defaults.test(line))).toEqual(withReceived(final))
      }),
      { numRuns: 3000 },
    )
  })

  test('is no longer than what has changed', () => {
    fc.assert(
      fc.property(anyHeaders, anyChain, anyRules, (headers, chain, rules) => {
        const original = messageOf(headers)
        const final = run(original, chain, [rules, rules, rules])
        const before = new Map(original.headers.map(field => [field.id, field]))
        let changes = 0
        for (const { kind, state, field } of layoutOf(final)) {
          const was = before.get(field.id)
          // A template that was filled and then respelled, or must make room, is told as removed and added.
          if (kind === 'template' && state !== 'default') changes += state === 'live' ? 2 : 1
          else if (kind === 'added' && state === 'live') changes += 1
          else if (kind === 'original' && state !== 'live') changes += 1
          else if (kind === 'original' && was?.name !== field.name) changes += mta === 'sendmail' ? 2 : 1
          else if (kind === 'original' && was?.value !== field.value) changes += 1
        }
        expect(planBatch(original, final, mta, ALL).edits.length).toBeLessThanOrEqual(changes)
      }),
    )
  })
})

describe('a batch to an MTA that was not recognised', () => {
  test('has every header of the chain on both MTAs, in order where only 0, 1 and the end were used', () => {
    fc.assert(
      fc.property(
        anyHeaders,
        anyChain,
        fc.constantFrom('sendmail' as const, 'postfix' as const),
        (headers, chain, mta) => {
          const portable = chain.map(edits => edits.map(anywhere).filter(edit => edit !== null))
          const original = messageOf(headers.map(([name, value]) => [`Q-${name}`, value] as const))
          const final = run(original, portable, [])
          const { edits } = planBatch(original, final, 'unknown', ALL)
          const model = told(
            mta,
            original.headers.map(({ name, value }) => [name, value] as const),
            edits,
          )
          expect(model.show()).toEqual(textOf(final))
        },
      ),
    )
  })

  test('uses no position but 0, 1 and the end', () => {
    fc.assert(
      fc.property(anyHeaders, anyChain, anyRules, (headers, chain, rules) => {
        const original = messageOf(headers)
        const { edits } = planBatch(original, run(original, chain, [rules, rules, rules]), 'unknown', ALL)
        for (const edit of edits) {
          if (edit.kind === 'insertHeader') expect([0, 1, AT_END]).toContain(edit.index)
          expect(edit.kind).not.toBe('addHeader')
        }
      }),
    )
  })
})

/** The edit with names that no MTA treats in its own way and positions that mean the same on all; `null` for others. */
function anywhere(edit: Edit): Edit | null {
  if (edit.kind === 'insertHeader')
    return { ...edit, index: edit.index > 1 ? AT_END : edit.index, name: `Q-${edit.name}` }
  if (edit.kind === 'changeHeader' || edit.kind === 'removeHeader') return { ...edit, occurrence: 1, name: 'Q-Subject' }
  return null
}
