import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import type { Edit, HeaderRules } from '../../../src/host/message/edit.ts'
import { isShown, layoutOf } from '../../../src/host/message/layout.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { PostfixModel } from './model-postfix.ts'
import { SendmailModel } from './model-sendmail.ts'
import { anyChain, anyHeaders, anyName, anyRules, messageOf, textOf } from './scripts.ts'

const MODELS = { sendmail: SendmailModel, postfix: PostfixModel }

/** What is shown, with the place of the MTA's own Received line. */
const withReceived = (message: MessageSnapshot): string[] =>
  layoutOf(message)
    .filter(node => isShown(node) || node.kind === 'received')
    .map(node => (node.kind === 'received' ? '(Received)' : `${node.field.name}:${node.field.value}`))

describe.each(['sendmail', 'postfix'] as const)('by the rules of %s', rules => {
  test('every filter of a chain is shown what it would be shown by that MTA', () => {
    fc.assert(
      fc.property(anyHeaders, anyChain, (headers, chain) => {
        const model = new MODELS[rules](headers)
        let message = messageOf(headers)
        for (const edits of chain) {
          expect(textOf(message)).toEqual(model.show())
          for (const edit of edits) model.edit(edit)
          message = applyEdits(message, edits, rules).message
        }
        expect(textOf(message)).toEqual(model.show())
        const defaults = /^\((?!Received)/
        expect(withReceived(message)).toEqual(model.delivered().filter(line => !defaults.test(line)))
      }),
      { numRuns: 2000 },
    )
  })
})

test('a message is never changed by the edits that are applied to it', () => {
  fc.assert(
    fc.property(anyHeaders, anyChain, anyRules, (headers, chain, rules) => {
      let message = messageOf(headers)
      for (const edits of chain) {
        const before = structuredClone({ headers: message.headers, layout: message.layout })
        deepFreeze([message.headers, message.layout, message.recipients, message.sender])
        const next = applyEdits(message, edits, rules).message
        expect({ headers: message.headers, layout: message.layout }).toEqual(before)
        message = next
      }
    }),
  )
})

test('every field keeps its id, and no two have the same', () => {
  fc.assert(
    fc.property(anyHeaders, anyChain, anyRules, (headers, chain, rules) => {
      let message = messageOf(headers)
      for (const edits of chain) message = applyEdits(message, edits, rules).message
      const ids = layoutOf(message).map(node => node.field.id)
      expect(new Set(ids).size).toBe(ids.length)
      const originals = layoutOf(message).filter(node => node.kind === 'original')
      expect(originals.map(node => node.field.id)).toEqual(headers.map((_, index) => index))
    }),
  )
})

test('edits that touch no header leave the headers as they are, shared', () => {
  const message = messageOf([['X-Foo', ' one']])
  const edit: Edit = { kind: 'removeRecipient', address: '<b@b.example>' }
  expect(applyEdits(message, [edit], 'sendmail').message.headers).toBe(message.headers)
  expect(applyEdits(message, [], 'postfix').message).toEqual(message)
})

test('an empty value in a change removes, as on the wire', () => {
  fc.assert(
    fc.property(anyHeaders, fc.nat(4), anyName, anyRules, (headers, occurrence, name, rules) => {
      const empty: Edit = { kind: 'changeHeader', occurrence, name, value: '' }
      const removal: Edit = { kind: 'removeHeader', occurrence, name }
      const message = messageOf(headers)
      expect(applyEdits(message, [empty], rules)).toEqual(applyEdits(message, [removal], rules))
    }),
  )
})

const add = (name: string, value: string): Edit => ({ kind: 'addHeader', name, value })
const insert = (index: number, name: string, value: string): Edit => ({ kind: 'insertHeader', index, name, value })
const change = (occurrence: number, name: string, value: string): Edit =>
  value === '' ? { kind: 'removeHeader', occurrence, name } : { kind: 'changeHeader', occurrence, name, value }

const chained = (rules: HeaderRules, headers: string[], ...chain: Edit[][]): string[] => {
  const pairs = headers.map(line => {
    const at = line.indexOf(':')
    return [line.slice(0, at), line.slice(at + 1)] as const
  })
  let message = messageOf(pairs)
  for (const edits of chain) message = applyEdits(message, edits, rules).message
  return withReceived(message)
}

const R = '(Received)'
const FOOS = ['X-Foo:one', 'X-Foo:two', 'x-foo:three']
const foos = (...indexes: number[]): Edit[] => indexes.map(index => change(index, 'X-Foo', ''))

describe('edits of one filter, on X-Foo one, X-Foo two, x-foo three (measured on Sendmail 8.17 and Postfix 3.7)', () => {
  test.each<[string, Edit[], string[], string[]]>([
    ['removing 1, 2, 3', foos(1, 2, 3), [R], [R, 'X-Foo:two']],
    ['removing 3, 2, 1', foos(3, 2, 1), [R], [R]],
    ['removing 1, 1, 1', foos(1, 1, 1), [R, 'X-Foo:two', 'x-foo:three'], [R]],
    ['removing 0', foos(0), [R, 'X-Foo:two', 'x-foo:three'], [R, 'X-Foo:two', 'x-foo:three']],
    ['removing 4', foos(4), [R, ...FOOS], [R, ...FOOS]],
    [
      'removing 1, changing 1',
      [...foos(1), change(1, 'X-Foo', 're')],
      [R, 'X-Foo:re', 'X-Foo:two', 'x-foo:three'],
      [R, 'X-Foo:re', 'x-foo:three'],
    ],
    ['adding X-Foo', [add('X-Foo', 'new')], [R, 'X-Foo:new', ...FOOS], [R, ...FOOS, 'X-Foo:new']],
    ['changing 4', [change(4, 'X-Foo', 'chg')], [R, 'X-Foo:chg', ...FOOS], [R, ...FOOS, 'X-Foo:chg']],
    ['changing 10 of no such name', [change(10, 'X-N', 'v')], [R, ...FOOS, 'X-N:v'], [R, ...FOOS, 'X-N:v']],
    [
      'changing 1 as x-FOO',
      [change(1, 'x-FOO', 'v')],
      [R, 'X-Foo:v', 'X-Foo:two', 'x-foo:three'],
      [R, 'x-FOO:v', 'X-Foo:two', 'x-foo:three'],
    ],
    [
      'adding a new name twice',
      [add('X-N', 'a'), add('X-N', 'b')],
      [R, ...FOOS, 'X-N:b', 'X-N:a'],
      [R, ...FOOS, 'X-N:a', 'X-N:b'],
    ],
    [
      'adding what was removed',
      [...foos(2), add('X-Foo', 'new')],
      [R, 'X-Foo:new', 'X-Foo:one', 'x-foo:three'],
      [R, 'X-Foo:one', 'x-foo:three', 'X-Foo:new'],
    ],
    [
      'inserting twice at 0',
      [insert(0, 'A', 'a'), insert(0, 'B', 'b')],
      ['B:b', 'A:a', R, ...FOOS],
      ['B:b', 'A:a', R, ...FOOS],
    ],
    [
      'inserting twice at 1',
      [insert(1, 'A', 'a'), insert(1, 'B', 'b')],
      [R, 'B:b', 'A:a', ...FOOS],
      [R, 'B:b', 'A:a', ...FOOS],
    ],
    [
      'inserting at 1 and 2',
      [insert(1, 'A', 'a'), insert(2, 'B', 'b')],
      [R, 'A:a', 'B:b', ...FOOS],
      [R, 'A:a', 'B:b', ...FOOS],
    ],
    [
      'inserting at 100 and 101',
      [insert(100, 'A', 'a'), insert(101, 'B', 'b')],
      [R, ...FOOS, 'A:a', 'B:b'],
      [R, ...FOOS, 'A:a', 'B:b'],
    ],
    ['inserting at 2', [insert(2, 'A', 'a')], [R, 'A:a', ...FOOS], [R, 'X-Foo:one', 'A:a', 'X-Foo:two', 'x-foo:three']],
    ['inserting at 9', [insert(9, 'A', 'a')], [R, 'X-Foo:one', 'A:a', 'X-Foo:two', 'x-foo:three'], [R, ...FOOS, 'A:a']],
    [
      'inserting at 0, then changing it',
      [insert(0, 'A', 'a'), change(1, 'A', 'b')],
      ['A:b', R, ...FOOS],
      ['A:b', R, ...FOOS],
    ],
    ['adding Received', [add('Received', 'r')], ['Received:r', R, ...FOOS], [R, ...FOOS, 'Received:r']],
    ['removing Received', [change(1, 'Received', '')], [R, ...FOOS], [R, ...FOOS]],
    ['adding Message-Id', [add('message-id', 'm')], [R, 'Message-Id:m', ...FOOS], [R, ...FOOS, 'message-id:m']],
    ['changing Date', [change(1, 'DATE', 'd')], [R, 'Date:d', ...FOOS], [R, ...FOOS, 'DATE:d']],
    // Sendmail takes numbers as signed
    ['inserting at 2^32-1', [insert(0xffff_ffff, 'A', 'a')], ['A:a', R, ...FOOS], [R, ...FOOS, 'A:a']],
    [
      'changing 2^32-1',
      [change(0xffff_ffff, 'X-Foo', 'v')],
      [R, 'X-Foo:v', 'X-Foo:two', 'x-foo:three'],
      [R, ...FOOS, 'X-Foo:v'],
    ],
  ])('%s', (_, edits, sendmail, postfix) => {
    expect(chained('sendmail', FOOS, edits)).toEqual(sendmail)
    expect(chained('postfix', FOOS, edits)).toEqual(postfix)
  })

  test('changing Received changes the first that the client sent', () => {
    for (const rules of ['sendmail', 'postfix'] as const)
      expect(chained(rules, ['A:a', 'Received:c'], [change(1, 'Received', 'mod')])).toEqual([R, 'A:a', 'Received:mod'])
  })
})

describe('what a second filter does to what the first left (measured on Sendmail 8.17 and Postfix 3.7)', () => {
  test.each<[string, string[], Edit[], Edit[], string[], string[]]>([
    [
      'adding a name that was removed',
      ['X-Foo:one', 'X-Foo:two', 'X-Bar:1', 'X-Baz:2'],
      foos(1, 2),
      [add('x-foo', 'new'), change(1, 'X-Foo', 'new2')],
      [R, 'X-Foo:new2', 'X-Bar:1', 'X-Baz:2'],
      [R, 'X-Foo:new2', 'X-Bar:1', 'X-Baz:2', 'x-foo:new'],
    ],
    [
      'changing an occurrence there is none of, with two free places',
      ['X-Foo:one', 'X-Bar:1', 'X-Foo:two', 'X-Baz:2', 'X-Foo:three', 'X-Z:1'],
      foos(1, 2),
      [change(7, 'X-Foo', 'new')],
      [R, 'X-Bar:1', 'X-Foo:new', 'X-Baz:2', 'X-Foo:three', 'X-Z:1'],
      [R, 'X-Bar:1', 'X-Foo:two', 'X-Baz:2', 'X-Z:1', 'X-Foo:new'],
    ],
    [
      'adding Received where one was removed',
      ['X-Foo:one', 'Received:c1', 'X-Bar:1'],
      [change(1, 'Received', '')],
      [add('Received', 'new')],
      ['Received:new', R, 'X-Foo:one', 'X-Bar:1'],
      [R, 'X-Foo:one', 'X-Bar:1', 'Received:new'],
    ],
    [
      'inserting where headers stand above Received',
      ['X-Foo:one'],
      [insert(0, 'X-A', 'a')],
      [insert(0, 'X-B', 'b'), insert(2, 'X-C', 'c')],
      ['X-B:b', 'X-A:a', 'X-C:c', R, 'X-Foo:one'],
      ['X-B:b', 'X-A:a', 'X-C:c', R, 'X-Foo:one'],
    ],
    [
      'inserting behind a place that was removed',
      ['X-Foo:one', 'Date:d', 'X-Bar:two', 'X-Baz:3'],
      [change(1, 'X-Foo', ''), insert(10, 'X-10', 'x')],
      [insert(10, 'X-B10', 'x'), insert(9, 'X-B9', 'x')],
      [R, 'X-B9:x', 'Date:d', 'X-B10:x', 'X-10:x', 'X-Bar:two', 'X-Baz:3'],
      [R, 'Date:d', 'X-Bar:two', 'X-Baz:3', 'X-10:x', 'X-B10:x', 'X-B9:x'],
    ],
    [
      'adding Date, which the client sent, twice',
      ['X-Foo:one', 'Date:c'],
      [add('Date', '1')],
      [add('Date', '2')],
      [R, 'Date:2', 'Date:1', 'X-Foo:one', 'Date:c'],
      [R, 'X-Foo:one', 'Date:c', 'Date:1', 'Date:2'],
    ],
  ])('%s', (_, headers, first, second, sendmail, postfix) => {
    expect(chained('sendmail', headers, first, second)).toEqual(sendmail)
    expect(chained('postfix', headers, first, second)).toEqual(postfix)
  })
})

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const inner of Object.values(value)) deepFreeze(inner)
}
