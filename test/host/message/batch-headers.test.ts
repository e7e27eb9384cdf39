// The batch against models of the MTAs, where the chain did what no single milter could: fields that were emptied, MTA's own names
// spelled in other ways, filters of both rules that edited one header.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { planBatch } from '../../../src/host/message/batch.ts'
import { AT_END, EDIT_KINDS, type Edit, type HeaderRules } from '../../../src/host/message/edit.ts'
import { type HeaderNode, isShown, layoutOf } from '../../../src/host/message/layout.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { PostfixModel } from './model-postfix.ts'
import { SendmailModel } from './model-sendmail.ts'
import { type Headers, messageOf } from './scripts.ts'

type Mta = 'postfix' | 'sendmail'
type Filters = readonly { readonly rules: HeaderRules; readonly edits: readonly Edit[] }[]

const ALL = new Set(EDIT_KINDS)
const OWN = '(Received)'

const line = ({ kind, field }: HeaderNode): string => (kind === 'received' ? OWN : `${field.name}:${field.value}`)

const inOrder = (message: MessageSnapshot): HeaderNode[] =>
  layoutOf(message).filter(node => isShown(node) || node.kind === 'received')

const through = (message: MessageSnapshot, filters: Filters): MessageSnapshot =>
  filters.reduce((before, { rules, edits }) => applyEdits(before, edits, rules).message, message)

/** What the MTA delivers when it is told the batch, less the headers that Sendmail makes itself. */
function delivered(mta: Mta, headers: Headers, edits: readonly Edit[]): string[] {
  const model = mta === 'postfix' ? new PostfixModel(headers) : new SendmailModel(headers)
  for (const edit of edits) {
    // On the wire it would be a removal.
    if (edit.kind === 'changeHeader') expect(edit.value).not.toBe('')
    model.edit(edit)
  }
  return model.delivered().filter(text => text === OWN || !text.startsWith('('))
}

const usual = ['X-A', 'x-a', 'X-A', 'X-B', 'From', 'Received', 'Via']
const made = ['Date', 'DATE', 'Message-Id', 'message-id', 'Return-Path', 'return-path']
const name = fc.constantFrom(...usual, ...made)
const value = fc.oneof(
  { arbitrary: fc.nat(9).map(n => ` v${n}`), weight: 5 },
  { arbitrary: fc.constant(''), weight: 1 },
)
const anyHeaders: fc.Arbitrary<Headers> = fc.array(fc.tuple(name, value), { maxLength: 7 })
const index = fc.oneof(fc.nat(2), fc.nat(18), fc.constant(AT_END))
const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('addHeader' as const), name, value }),
  fc.record({ kind: fc.constant('insertHeader' as const), index, name, value }),
  fc.record({ kind: fc.constant('changeHeader' as const), occurrence: fc.nat(4), name, value }),
  fc.record({ kind: fc.constant('removeHeader' as const), occurrence: fc.nat(4), name }),
)
const anyRules = fc.constantFrom<HeaderRules>('postfix', 'sendmail')
const anyFilters = fc.array(fc.record({ rules: anyRules, edits: fc.array(anyEdit, { maxLength: 6 }) }), {
  minLength: 1,
  maxLength: 3,
})

describe.each<Mta>(['postfix', 'sendmail'])('a batch to %s', mta => {
  test('makes exactly the final message, whatever the filters did and by whichever rules', () => {
    fc.assert(
      fc.property(anyHeaders, anyFilters, (headers, filters) => {
        const original = messageOf(headers)
        const final = through(original, filters)
        const { edits, dropped } = planBatch(original, final, mta, ALL)
        expect(dropped).toEqual([])
        expect(delivered(mta, headers, edits)).toEqual(inOrder(final).map(line))
      }),
      { numRuns: 4000 },
    )
  })

  test('has the changes first, then the removals from the last occurrence of each name, then the rest', () => {
    fc.assert(
      fc.property(anyHeaders, anyFilters, (headers, filters) => {
        const original = messageOf(headers)
        const { edits } = planBatch(original, through(original, filters), mta, ALL)
        const phases = edits.map(edit => {
          if (edit.kind === 'changeHeader') return 0
          if (edit.kind !== 'removeHeader') return 2
          // A removal beyond the last keeps Sendmail from making the header, and may come among the rest.
          const sent = headers.filter(([other]) => other.toLowerCase() === edit.name.toLowerCase()).length
          return edit.occurrence > sent ? 2 : 1
        })
        expect(phases).toEqual(phases.toSorted())
        const last = new Map<string, number>()
        for (const edit of edits) {
          if (edit.kind !== 'removeHeader' || phases[edits.indexOf(edit)] !== 1) continue
          const key = edit.name.toLowerCase()
          expect(edit.occurrence).toBeLessThan(last.get(key) ?? Number.POSITIVE_INFINITY)
          last.set(key, edit.occurrence)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

// Sendmail keeps a name's old spelling in a change, and an MTA that may be either is told nothing that only one of them takes.
const folded = (lines: readonly string[]): string[] =>
  lines.map(text => text.replace(/^[^:]*/, label => label.toLowerCase()))

test.each<Mta>(['postfix', 'sendmail'])(
  'a batch to an MTA that was not recognised puts what is above and directly below Received there, and the rest at the end, on %s',
  mta => {
    fc.assert(
      fc.property(anyHeaders, anyFilters, (headers, filters) => {
        const original = messageOf(headers)
        const final = through(original, filters)
        const nodes = inOrder(final)
        const own = nodes.findIndex(node => node.kind === 'received')
        const below = nodes.slice(own + 1)
        // An emptied field can only be removed and added.
        const isKept = ({ kind, origin, field }: HeaderNode): boolean =>
          kind === 'original' && (field.value !== '' || isAsSent(headers[origin], field))
        const first = below.findIndex(isKept)
        const lead = first === -1 ? below : below.slice(0, first)
        const rest = below.slice(lead.length)
        const wanted = [
          ...nodes.slice(0, own + 1),
          ...lead,
          ...rest.filter(isKept),
          ...rest.filter(node => !isKept(node)),
        ]
        const { edits } = planBatch(original, final, 'unknown', ALL)
        expect(folded(delivered(mta, headers, edits))).toEqual(folded(wanted.map(line)))
      }),
      { numRuns: 3000 },
    )
  },
)

const isAsSent = (sent: Headers[number] | undefined, field: { name: string; value: string }): boolean =>
  sent?.[0] === field.name && sent[1] === field.value

describe('what a change cannot say', () => {
  const add = (label: string, text: string): Edit => ({ kind: 'addHeader', name: label, value: text })
  const insert = (at: number, label: string, text: string): Edit => ({
    kind: 'insertHeader',
    index: at,
    name: label,
    value: text,
  })
  const change = (label: string, text: string): Edit => ({
    kind: 'changeHeader',
    occurrence: 1,
    name: label,
    value: text,
  })
  const remove = (occurrence: number, label: string): Edit => ({ kind: 'removeHeader', occurrence, name: label })
  const plan = (mta: Mta, headers: Headers, ...filters: [HeaderRules, ...Edit[]][]): readonly Edit[] => {
    const original = messageOf(headers)
    const final = through(
      original,
      filters.map(([rules, ...edits]) => ({ rules, edits })),
    )
    return planBatch(original, final, mta, ALL).edits
  }
  const headers: Headers = [
    ['X-A', ' 1'],
    ['X-B', ' 2'],
  ]

  test('an empty value in the place of a removed header is told as a removal and an addition in that place', () => {
    const filters: [HeaderRules, ...Edit[]][] = [
      ['sendmail', remove(1, 'X-A')],
      ['sendmail', add('X-A', '')],
    ]
    expect(plan('postfix', headers, ...filters)).toEqual([remove(1, 'X-A'), insert(1, 'X-A', '')])
    expect(plan('sendmail', headers, ...filters)).toEqual([remove(1, 'X-A'), insert(9, 'X-A', '')])
  })

  test('another spelling of a name that is Sendmail’s own keeps Sendmail from making it, and is added in its place', () => {
    const filters: [HeaderRules, ...Edit[]][] = [
      ['sendmail', add('Date', ' d')],
      ['postfix', change('DATE', ' d')],
    ]
    expect(plan('sendmail', headers, ...filters)).toEqual([remove(1, 'DATE'), insert(3, 'DATE', ' d')])
    expect(plan('postfix', headers, ...filters)).toEqual([insert(1, 'DATE', ' d')])
  })

  test('what stands above a Return-Path, which is Sendmail’s first, is put there', () => {
    const filters: [HeaderRules, ...Edit[]][] = [
      ['sendmail', add('Return-Path', ' <r>')],
      ['postfix', insert(0, 'X-Top', ' t')],
    ]
    expect(plan('sendmail', headers, ...filters)).toEqual([
      remove(1, 'Return-Path'),
      insert(0, 'Return-Path', ' <r>'),
      insert(0, 'X-Top', ' t'),
    ])
  })
})
