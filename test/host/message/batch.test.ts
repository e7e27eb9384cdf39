import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { planBatch } from '../../../src/host/message/batch.ts'
import { emptyBody, memoryBody } from '../../../src/host/message/body.ts'
import { AT_END, EDIT_KINDS, type Edit, type HeaderRules } from '../../../src/host/message/edit.ts'
import { type MessageSnapshot, receivedMessage } from '../../../src/host/message/snapshot.ts'
import { type Headers, type Line, postfix, sendmail } from './models.ts'

const ALL = new Set(EDIT_KINDS)

const messageOf = (fields: readonly Line[]): MessageSnapshot =>
  receivedMessage({
    id: 'm',
    sender: { raw: '<a@example.org>', args: [] },
    recipients: [{ raw: '<b@example.net>', args: [] }],
    fields,
    body: emptyBody,
  })

const headersOf = ({ headers, layout }: MessageSnapshot): Headers => ({
  lines: headers.map(({ name, value }) => ({ name, value })),
  above: (layout ?? [])
    .slice(
      0,
      layout?.findIndex(node => node.kind === 'received'),
    )
    .filter(node => node.state === 'live').length,
})

const names = fc.constantFrom('Subject', 'X-A', 'x-a', 'X-B', 'Date', 'Message-Id', 'From', 'Received')
const values = fc.stringMatching(/^ [a-z]{1,4}$/)
const lines = fc.array(fc.record({ name: names, value: values }), { maxLength: 8 })
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('addHeader' as const), name: names, value: values }),
  fc.record({
    kind: fc.constant('insertHeader' as const),
    index: fc.oneof(fc.nat(20), fc.constant(AT_END)),
    name: names,
    value: values,
  }),
  fc.record({ kind: fc.constant('changeHeader' as const), occurrence: fc.nat(4), name: names, value: values }),
  fc.record({ kind: fc.constant('removeHeader' as const), occurrence: fc.nat(4), name: names }),
)
const filters = fc.array(
  fc.record({
    rules: fc.constantFrom<HeaderRules>('postfix', 'sendmail'),
    edits: fc.array(edit, { maxLength: 6 }),
  }),
  { minLength: 1, maxLength: 3 },
)

const through = (message: MessageSnapshot, list: readonly { rules: HeaderRules; edits: Edit[] }[]): MessageSnapshot =>
  list.reduce((before, { rules, edits }) => applyEdits(before, edits, rules).message, message)

/** Sendmail keeps the spelling of its own template names, so names are compared as it compares them. */
const folded = ({ lines: list, above }: Headers): Headers => ({
  above,
  lines: list.map(({ name, value }) => ({ name: name.toLowerCase(), value })),
})

describe('the batch', () => {
  it('makes Postfix’s message the one the chain ended with', () => {
    fc.assert(
      fc.property(lines, filters, (sent, list) => {
        const original = messageOf(sent)
        const final = through(original, list)
        const { edits, dropped } = planBatch(original, final, 'postfix', ALL)
        expect(dropped).toEqual([])
        expect(postfix(sent, edits)).toEqual(headersOf(final))
      }),
      { numRuns: 3000 },
    )
  })

  it('makes Sendmail’s message the one the chain ended with', () => {
    fc.assert(
      fc.property(lines, filters, (sent, list) => {
        const original = messageOf(sent)
        const final = through(original, list)
        const { edits, dropped } = planBatch(original, final, 'sendmail', ALL)
        expect(dropped).toEqual([])
        expect(folded(sendmail(sent, edits))).toEqual(folded(headersOf(final)))
      }),
      { numRuns: 3000 },
    )
  })

  it('has the right headers for an MTA that was not recognised, whichever it is', () => {
    const sorted = ({ lines: list }: Headers): string[] =>
      list.map(({ name, value }) => `${name.toLowerCase()}:${value}`).sort()
    fc.assert(
      fc.property(lines, filters, (sent, list) => {
        const original = messageOf(sent)
        const final = through(original, list)
        const { edits } = planBatch(original, final, 'unknown', ALL)
        expect(sorted(postfix(sent, edits))).toEqual(sorted(headersOf(final)))
        expect(sorted(sendmail(sent, edits))).toEqual(sorted(headersOf(final)))
      }),
      { numRuns: 1000 },
    )
  })

  it('changes nothing where nothing was changed', () => {
    const original = messageOf([{ name: 'Subject', value: ' x' }])
    for (const mta of ['postfix', 'sendmail', 'unknown'] as const)
      expect(planBatch(original, through(original, [{ rules: 'postfix', edits: [] }]), mta, ALL).edits).toEqual([])
  })

  it('comes in the order that both MTAs take: body, changes, removals from the last, additions, envelope', () => {
    const original = messageOf(['1', '2', '3', '4'].map(value => ({ name: 'X', value })))
    const { message } = applyEdits(
      original,
      [
        { kind: 'addRecipient', address: '<c@example.net>', args: '' },
        { kind: 'removeRecipient', address: '<b@example.net>' },
        { kind: 'changeSender', address: '<z@example.org>', args: '' },
        { kind: 'insertHeader', index: 0, name: 'New', value: ' n' },
        { kind: 'removeHeader', occurrence: 1, name: 'X' },
        { kind: 'removeHeader', occurrence: 3, name: 'X' },
        { kind: 'changeHeader', occurrence: 4, name: 'X', value: ' changed' },
        { kind: 'replaceBody', body: memoryBody([Buffer.from('new\r\n')]) },
      ],
      'sendmail',
    )
    const { edits } = planBatch(original, message, 'postfix', ALL)
    expect(edits.map(({ kind }) => kind)).toEqual([
      'replaceBody',
      'changeHeader',
      'removeHeader',
      'removeHeader',
      'insertHeader',
      'changeSender',
      'removeRecipient',
      'addRecipient',
    ])
    expect(edits.flatMap(one => (one.kind === 'removeHeader' ? [one.occurrence] : []))).toEqual([3, 1])
  })

  it('names what the MTA does not take', () => {
    const original = messageOf([])
    const { message } = applyEdits(
      original,
      [{ kind: 'addRecipient', address: '<c@example.net>', args: '' }],
      'postfix',
    )
    expect(planBatch(original, message, 'postfix', new Set())).toEqual({
      edits: [],
      dropped: ['the MTA does not take the edit addRecipient (<c@example.net>)'],
    })
  })
})

describe('edits', () => {
  it('by the rules of Postfix do what Postfix does to one milter', () => {
    fc.assert(
      fc.property(lines, fc.array(edit, { maxLength: 8 }), (sent, edits) => {
        const { message } = applyEdits(messageOf(sent), edits, 'postfix')
        expect(headersOf({ ...message, layout: message.layout ?? [] }).lines).toEqual(postfix(sent, edits).lines)
      }),
      { numRuns: 2000 },
    )
  })

  it('by the rules of Sendmail do what Sendmail does to one milter', () => {
    // A Received of the client is a trace field and is told apart by Sendmail only in its own list: left to the real one.
    const known = edit.filter(one => !('name' in one) || one.name !== 'Received')
    const tame = known.filter(one => one.kind !== 'removeHeader' || one.occurrence < 2)
    fc.assert(
      fc.property(
        lines.map(list => list.filter(({ name }) => name.startsWith('X') || name === 'Subject')),
        fc.array(tame, { maxLength: 8 }),
        (sent, edits) => {
          const simple = edits.filter(
            one => !('name' in one) || one.name.toLowerCase().startsWith('x') || one.name === 'Subject',
          )
          const { message } = applyEdits(messageOf(sent), simple, 'sendmail')
          expect(headersOf({ ...message, layout: message.layout ?? [] }).lines).toEqual(sendmail(sent, simple).lines)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('leave the message they were given as it was', () => {
    fc.assert(
      fc.property(lines, filters, (sent, list) => {
        const original = messageOf(sent)
        const before = structuredClone({ headers: original.headers, recipients: original.recipients })
        through(original, list)
        expect({ headers: original.headers, recipients: original.recipients }).toEqual(before)
      }),
    )
  })

  const three: Line[] = [
    { name: 'X-Foo', value: ' one' },
    { name: 'X-Foo', value: ' two' },
    { name: 'x-foo', value: ' three' },
  ]
  const remove = (...occurrences: number[]): Edit[] =>
    occurrences.map(occurrence => ({ kind: 'removeHeader', name: 'X-Foo', occurrence }))
  it.each([
    ['1, 2, 3', remove(1, 2, 3), '', ' two'],
    ['3, 2, 1', remove(3, 2, 1), '', ''],
    ['1, 1, 1', remove(1, 1, 1), ' two three', ''],
  ] as const)('removing occurrences %s of three, on Sendmail and on Postfix', (_name, edits, onSendmail, onPostfix) => {
    const left = (rules: HeaderRules): string =>
      applyEdits(messageOf(three), edits, rules)
        .message.headers.map(({ value }) => value)
        .join('')
    expect(left('sendmail')).toBe(onSendmail)
    expect(left('postfix')).toBe(onPostfix)
  })
})
