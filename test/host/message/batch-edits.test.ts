import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { planBatch } from '../../../src/host/message/batch.ts'
import { memoryBody } from '../../../src/host/message/body.ts'
import { AT_END, EDIT_KINDS, type Edit, type EditKind } from '../../../src/host/message/edit.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { type Headers, messageOf } from './scripts.ts'

const ALL: ReadonlySet<EditKind> = new Set(EDIT_KINDS)
const MTAS = ['sendmail', 'postfix', 'unknown'] as const

/** The message after a chain of filters that count headers as `mta` does. */
const chained = (mta: (typeof MTAS)[number], original: MessageSnapshot, ...chain: Edit[][]): MessageSnapshot =>
  chain.reduce(
    (message, edits) => applyEdits(message, edits, mta === 'postfix' ? 'postfix' : 'sendmail').message,
    original,
  )

const headerBatch = (mta: (typeof MTAS)[number], headers: Headers, ...chain: Edit[][]): readonly Edit[] => {
  const original = messageOf(headers)
  return planBatch(original, chained(mta, original, ...chain), mta, ALL).edits
}

const A = (name: string, value = ' v'): Edit => ({ kind: 'addHeader', name, value })
const I = (index: number, name: string, value = ' v'): Edit => ({ kind: 'insertHeader', index, name, value })
const M = (occurrence: number, name: string, value = ' v'): Edit => ({ kind: 'changeHeader', occurrence, name, value })
const D = (occurrence: number, name: string): Edit => ({ kind: 'removeHeader', occurrence, name })

describe('the order of a batch', () => {
  const headers: Headers = ['1', '2', '3'].map(value => ['X-Foo', value] as const)

  test.each(MTAS)('to %s: changes before removals, removals from the last', mta => {
    const script = [D(1, 'X-Foo'), D(2, 'X-Foo'), M(3, 'X-Foo')]
    const want = [M(3, 'X-Foo'), D(2, 'X-Foo'), D(1, 'X-Foo')]
    const original = messageOf(headers)
    expect(planBatch(original, applyEdits(original, script, 'sendmail').message, mta, ALL).edits).toEqual(want)
  })

  test('additions at one place are told from the bottom up, those at the end from the top down', () => {
    const script = [I(0, 'A'), I(0, 'B'), I(AT_END, 'Y'), I(AT_END, 'Z')]
    for (const mta of MTAS)
      expect(headerBatch(mta, headers, script)).toEqual([I(AT_END, 'Y'), I(AT_END, 'Z'), I(0, 'A'), I(0, 'B')])
  })

  test('what stands directly below Received is told before what stands above it', () => {
    const script = [I(0, 'A'), I(2, 'B')]
    for (const mta of ['postfix', 'unknown'] as const) {
      const original = messageOf(headers)
      const final = applyEdits(original, script, 'postfix').message
      expect(planBatch(original, final, mta, ALL).edits).toEqual([I(1, 'B'), I(0, 'A')])
    }
  })

  test('body first, then headers, then sender, removed recipients, added ones', () => {
    const original = messageOf(headers)
    const body = memoryBody([Buffer.from('new\r\n')])
    const script: Edit[] = [
      { kind: 'addRecipient', address: '<n@n.example>', args: 'NOTIFY=NEVER' },
      { kind: 'removeRecipient', address: 'b@B.example' },
      { kind: 'changeSender', address: '', args: '' },
      I(1, 'X-New'),
      { kind: 'replaceBody', body },
    ]
    for (const mta of MTAS)
      expect(planBatch(original, chained(mta, original, script), mta, ALL)).toEqual({
        edits: [
          { kind: 'replaceBody', body },
          I(1, 'X-New'),
          { kind: 'changeSender', address: '<>', args: '' },
          { kind: 'removeRecipient', address: '<b@b.example>' },
          { kind: 'addRecipient', address: '<n@n.example>', args: 'NOTIFY=NEVER' },
        ],
        dropped: [],
      })
  })
})

describe('nothing is told of', () => {
  test.each(MTAS)('what one filter did and the next undid (%s)', mta => {
    const headers: Headers = [['X-Foo', ' 1']]
    expect(headerBatch(mta, headers, [M(1, 'X-Foo', ' 2')], [M(1, 'X-Foo', ' 1')])).toEqual([])
    expect(headerBatch(mta, headers, [I(0, 'X-New')], [D(1, 'X-New')])).toEqual([])
    const original = messageOf(headers)
    const final = chained(
      mta,
      original,
      [{ kind: 'removeRecipient', address: '<b@b.example>' }],
      [{ kind: 'addRecipient', address: 'b@b.example', args: '' }],
    )
    expect(planBatch(original, final, mta, ALL).edits).toEqual([])
  })

  test('a message that no filter edited', () => {
    const original = messageOf([['X-Foo', ' 1']])
    expect(planBatch(original, original, 'postfix', ALL)).toEqual({ edits: [], dropped: [] })
  })
})

describe('Sendmail', () => {
  test('is told by addition of a header that it would make itself, so that it stands in its place', () => {
    expect(headerBatch('sendmail', [['X-Foo', ' 1']], [M(1, 'message-id')])).toEqual([A('Message-Id')])
  })

  test('is told by a removal of none that it shall not make a header itself', () => {
    expect(headerBatch('sendmail', [['X-Foo', ' 1']], [D(1, 'Date')])).toEqual([D(1, 'Date')])
  })

  test('is told of another spelling by removal and addition behind it', () => {
    const original = messageOf([
      ['X-Foo', ' 1'],
      ['X-Bar', ' 2'],
    ])
    const final = applyEdits(original, [M(1, 'X-FOO', ' 1')], 'postfix').message
    expect(planBatch(original, final, 'sendmail', ALL).edits).toMatchObject([
      { kind: 'removeHeader', occurrence: 1 },
      I(9, 'X-FOO', ' 1'),
    ])
  })
})

describe('an edit that the MTA has not granted', () => {
  const original = messageOf([['X-Foo', ' 1']])
  const script: Edit[] = [I(0, 'X-New'), M(1, 'X-Foo'), { kind: 'addRecipient', address: '<n@n.example>', args: '' }]
  const final = applyEdits(original, script, 'sendmail').message

  test('is left out and named', () => {
    const { edits, dropped } = planBatch(original, final, 'postfix', new Set<EditKind>(['insertHeader']))
    expect(edits).toEqual([I(0, 'X-New')])
    expect(dropped).toEqual([
      'the MTA does not take the edit changeHeader (X-Foo)',
      'the MTA does not take the edit addRecipient (<n@n.example>)',
    ])
  })

  test('is an addition without a place when only the place is not granted', () => {
    const { edits, dropped } = planBatch(original, final, 'postfix', new Set<EditKind>(['addHeader', 'changeHeader']))
    expect(edits).toEqual([M(1, 'X-Foo'), A('X-New')])
    expect(dropped).toHaveLength(2)
    expect(dropped[0]).toContain('X-New')
  })
})

describe('recipients', () => {
  const anyRecipients = fc.uniqueArray(
    fc.constantFrom('a@x.example', 'A@x.example', 'b@x.example', 'b@y.example', 'c@z'),
  )
  const anyEdit: fc.Arbitrary<Edit> = fc.record({
    kind: fc.constantFrom('addRecipient' as const, 'removeRecipient' as const),
    address: fc.constantFrom('<a@x.example>', 'a@X.EXAMPLE', '<A@x.example>', '<b@x.example>', '<d@z>', 'c@Z'),
    args: fc.constant(''),
  })

  test('come out the same in whatever order they were given', () => {
    fc.assert(
      fc.property(anyRecipients, fc.array(anyEdit), (addresses, edits) => {
        const outcome = (given: readonly string[]): [Set<string>, Set<string>] => {
          const original = { ...messageOf([]), recipients: given.map(a => ({ raw: `<${a}>`, args: [] })) }
          const final = applyEdits(original, edits, 'sendmail').message
          const batch = planBatch(original, final, 'postfix', ALL).edits
          return [new Set(final.recipients.map(path => path.raw)), new Set(batch.map(edit => JSON.stringify(edit)))]
        }
        expect(outcome([...addresses].reverse())).toEqual(outcome(addresses))
      }),
    )
  })

  test('told in one batch are those that the edits give one by one', () => {
    fc.assert(
      fc.property(anyRecipients, fc.array(fc.array(anyEdit), { maxLength: 3 }), (addresses, chain) => {
        const key = (address: string): string =>
          address.replaceAll(/[<>]/g, '').replace(/@.*$/, domain => domain.toLowerCase())
        const play = (edits: readonly Edit[]): Set<string> => {
          const set = new Set(addresses.map(key))
          for (const edit of edits) {
            if (edit.kind === 'addRecipient') set.add(key(edit.address))
            if (edit.kind === 'removeRecipient') set.delete(key(edit.address))
          }
          return set
        }
        const original = { ...messageOf([]), recipients: addresses.map(a => ({ raw: `<${a}>`, args: [] })) }
        const final = chained('sendmail', original, ...chain)
        const { edits } = planBatch(original, final, 'sendmail', ALL)
        expect(play(edits)).toEqual(play(chain.flat()))
        expect(new Set(final.recipients.map(path => key(path.raw)))).toEqual(play(edits))
      }),
    )
  })

  test('given other parameters are removed and added', () => {
    const original = messageOf([])
    const edits: Edit[] = [
      { kind: 'removeRecipient', address: '<b@b.example>' },
      { kind: 'addRecipient', address: '<b@b.example>', args: 'NOTIFY=NEVER' },
    ]
    expect(planBatch(original, applyEdits(original, edits, 'sendmail').message, 'postfix', ALL).edits).toEqual(edits)
  })

  test('added twice are one', () => {
    const original = messageOf([])
    const edits: Edit[] = ['<n@n.example>', 'n@N.Example', '<b@b.example>'].map(address => ({
      kind: 'addRecipient',
      address,
      args: '',
    }))
    const final = applyEdits(original, edits, 'sendmail').message
    expect(final.recipients.map(path => path.raw)).toEqual(['<b@b.example>', '<n@n.example>'])
  })
})

test('the last reason for quarantine counts, and none is none', () => {
  const original = messageOf([])
  const hold = (reason: string): Edit => ({ kind: 'quarantine', reason })
  expect(applyEdits(original, [hold('one'), A('X-Foo'), hold('two')], 'sendmail').quarantine).toBe('two')
  expect(applyEdits(original, [A('X-Foo')], 'sendmail').quarantine).toBeNull()
})
