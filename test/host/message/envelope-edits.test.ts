// The envelope against a small model of what both MTAs do with it, which shares nothing with the code under test.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Path } from '../../../src/host/events.ts'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { planBatch } from '../../../src/host/message/batch.ts'
import { emptyBody } from '../../../src/host/message/body.ts'
import { EDIT_KINDS, type Edit, type HeaderRules } from '../../../src/host/message/edit.ts'
import { type MessageSnapshot, receivedMessage } from '../../../src/host/message/snapshot.ts'

const ALL = new Set(EDIT_KINDS)

const messageOf = (sender: Path, recipients: readonly Path[]): MessageSnapshot =>
  receivedMessage({ id: 'm', sender, recipients, fields: [], body: emptyBody })

const without = (address: string): string => address.replace(/^<(.*)>$/s, '$1')

/** Local part to the byte, domain without case. */
function mailbox(address: string): string {
  const [, local = '', domain = ''] = /^(.*?)(@[^@]*)?$/s.exec(without(address)) ?? []
  return local + domain.toLowerCase()
}

const keyword = (parameter: string): string => parameter.split('=', 1).join('').toUpperCase()

const words = (args: string): string[] => args.split(' ').filter(word => word !== '')

class EnvelopeModel {
  sender: string
  senderParameters: string[]
  /** Mailbox to the parameters it was given with, each once: both MTAs deliver once to what is the same in all. */
  readonly recipients = new Map<string, Set<string>>()
  readonly #rules: HeaderRules

  constructor(sender: Path, recipients: readonly Path[], rules: HeaderRules) {
    this.sender = without(sender.raw)
    this.senderParameters = [...sender.args]
    this.#rules = rules
    for (const { raw, args } of recipients) {
      const given = this.recipients.get(mailbox(raw)) ?? new Set()
      this.recipients.set(mailbox(raw), given.add(args.join(' ')))
    }
  }

  edit(edit: Edit, rules: HeaderRules = this.#rules): void {
    if (edit.kind === 'removeRecipient') this.recipients.delete(mailbox(edit.address))
    if (edit.kind === 'addRecipient' && !this.recipients.has(mailbox(edit.address)))
      this.recipients.set(mailbox(edit.address), new Set([words(edit.args).join(' ')]))
    if (edit.kind === 'changeSender') {
      this.sender = without(edit.address)
      const named = words(edit.args)
      const replaced = new Set(named.map(keyword))
      if (named.length > 0)
        this.senderParameters =
          rules === 'sendmail'
            ? named
            : [...this.senderParameters.filter(parameter => !replaced.has(keyword(parameter))), ...named]
    }
  }

  state(): unknown {
    return { ...this.delivery(), sender: this.sender, parameters: this.senderParameters.toSorted() }
  }

  delivery(): { recipients: string[] } {
    return {
      recipients: [...this.recipients].flatMap(([key, given]) => [...given].map(args => `${key} ${args}`)).sort(),
    }
  }
}

const stateOf = ({ sender, recipients }: MessageSnapshot): unknown =>
  new EnvelopeModel(sender, recipients, 'sendmail').state()

const address = fc.constantFrom(
  'b@example.net',
  'b@EXAMPLE.net',
  'B@example.net',
  'c@example.net',
  'd',
  '"x@y"@example.net',
)
const recipientArgs = fc.constantFrom('', '', 'NOTIFY=NEVER', 'NOTIFY=SUCCESS ORCPT=rfc822;o@example.org')
const bare = fc.oneof(
  address,
  address.map(one => `<${one}>`),
)
const senderArgs = fc.constantFrom('', '', 'RET=HDRS', 'ENVID=new RET=FULL', 'ret=HDRS')

const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('addRecipient' as const), address: bare, args: recipientArgs }),
  fc.record({ kind: fc.constant('removeRecipient' as const), address: bare }),
  fc.record({
    kind: fc.constant('changeSender' as const),
    address: fc.constantFrom('', '<>', 's@example.org', '<s@example.org>', '<a@example.com>'),
    args: senderArgs,
  }),
)
const anySender: fc.Arbitrary<Path> = fc.record({
  raw: fc.constantFrom('<a@example.com>', '<>'),
  args: fc.constantFrom([], ['BODY=8BITMIME'], ['RET=FULL', 'BODY=8BITMIME', 'ENVID=old']),
})
/** The client may have named a recipient twice, with the same parameters or others. */
const anyRecipients: fc.Arbitrary<Path[]> = fc.array(
  fc.record({ raw: address.map(one => `<${one}>`), args: recipientArgs.map(words) }),
  { minLength: 1, maxLength: 5 },
)
const anyFilter = fc.record({
  rules: fc.constantFrom<HeaderRules>('sendmail', 'postfix'),
  edits: fc.array(anyEdit, { maxLength: 6 }),
})
const anyFilters = fc.array(anyFilter, { minLength: 1, maxLength: 3 })

type Filters = readonly { rules: HeaderRules; edits: readonly Edit[] }[]

const through = (message: MessageSnapshot, filters: Filters): MessageSnapshot =>
  filters.reduce((before, { rules, edits }) => applyEdits(before, edits, rules).message, message)

describe('the envelope', () => {
  test('is after a filter’s edits what those edits make of it', () => {
    fc.assert(
      fc.property(anySender, anyRecipients, anyFilters, (sender, recipients, filters) => {
        const model = new EnvelopeModel(sender, recipients, 'sendmail')
        for (const { rules, edits } of filters) for (const edit of edits) model.edit(edit, rules)
        expect(stateOf(through(messageOf(sender, recipients), filters))).toEqual(model.state())
      }),
      { numRuns: 2000 },
    )
  })

  test.each(['sendmail', 'postfix', 'unknown'] as const)(
    'that a batch tells to %s has the recipients of the chain',
    mta => {
      fc.assert(
        fc.property(anySender, anyRecipients, anyFilters, (sender, recipients, filters) => {
          const original = messageOf(sender, recipients)
          const final = through(original, filters)
          const model = new EnvelopeModel(sender, recipients, 'sendmail')
          for (const edit of planBatch(original, final, mta, ALL).edits) model.edit(edit)
          const wanted = new EnvelopeModel(final.sender, final.recipients, 'sendmail')
          expect(model.delivery()).toEqual(wanted.delivery())
        }),
        { numRuns: 3000 },
      )
    },
  )

  test.each(['sendmail', 'postfix'] as const)('that a batch tells to %s has the sender of the chain', mta => {
    // Postfix cannot be made to forget a parameter, as filters by the rules of Sendmail do: those stay out there.
    const filters = mta === 'sendmail' ? anyFilters : anyFilters.map(list => list.map(one => ({ ...one, rules: mta })))
    fc.assert(
      fc.property(anySender, anyRecipients, filters, (sender, recipients, list) => {
        const original = messageOf(sender, recipients)
        const final = through(original, list)
        const model = new EnvelopeModel(sender, recipients, mta)
        for (const edit of planBatch(original, final, mta, ALL).edits) model.edit(edit)
        expect(model.state()).toEqual(stateOf(final))
      }),
      { numRuns: 2000 },
    )
  })

  test('comes out the same in whatever order the recipients were named', () => {
    const shuffled = fc.tuple(anyRecipients, fc.infiniteStream(fc.nat())).map(([list, keys]) => {
      const order = new Map(list.map(path => [path, Number(keys.next().value)]))
      return [list, list.toSorted((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))] as const
    })
    const plan = (recipients: readonly Path[], filters: Filters): unknown => {
      const original = messageOf({ raw: '<a@example.com>', args: [] }, recipients)
      const final = through(original, filters)
      const { edits } = planBatch(original, final, 'sendmail', ALL)
      return { state: stateOf(final), edits: edits.map(edit => JSON.stringify(edit)).sort() }
    }
    fc.assert(
      fc.property(shuffled, anyFilters, ([one, other], filters) => {
        expect(plan(other, filters)).toEqual(plan(one, filters))
      }),
      { numRuns: 1000 },
    )
  })

  test('is told in the order sender, removals, additions, and is not told when nothing changed', () => {
    const rank = { changeSender: 0, removeRecipient: 1, addRecipient: 2 }
    fc.assert(
      fc.property(anySender, anyRecipients, anyFilters, (sender, recipients, filters) => {
        const original = messageOf(sender, recipients)
        const final = through(original, filters)
        const ranks = planBatch(original, final, 'sendmail', ALL).edits.map(
          ({ kind }) => rank[kind as keyof typeof rank],
        )
        expect(ranks).toEqual(ranks.toSorted())
        if (JSON.stringify(stateOf(original)) === JSON.stringify(stateOf(final))) expect(ranks).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })
})

describe('a recipient', () => {
  const twice: Path[] = [
    { raw: '<b@example.net>', args: ['NOTIFY=NEVER'] },
    { raw: '<b@example.net>', args: [] },
  ]
  const plan = (recipients: readonly Path[], ...edits: Edit[]): readonly Edit[] => {
    const original = messageOf({ raw: '<a@example.com>', args: [] }, recipients)
    return planBatch(original, applyEdits(original, edits, 'postfix').message, 'postfix', ALL).edits
  }
  const remove: Edit = { kind: 'removeRecipient', address: 'b@example.net' }
  const add = (args: string): Edit => ({ kind: 'addRecipient', address: '<b@example.net>', args })

  test('that the client named twice, removed and added again, is not lost', () => {
    for (const args of ['', 'NOTIFY=NEVER', 'NOTIFY=SUCCESS'])
      expect(plan(twice, remove, add(args))).toEqual([
        { kind: 'removeRecipient', address: '<b@example.net>' },
        { kind: 'addRecipient', address: '<b@example.net>', args },
      ])
  })

  test('removed and added again as it was is no change', () => {
    expect(plan(twice.slice(0, 1), remove, add('NOTIFY=NEVER'))).toEqual([])
  })

  test('that is unknown is removed without effect, one that is there is added without effect', () => {
    expect(plan(twice, { kind: 'removeRecipient', address: 'x@example.net' }, add('NOTIFY=SUCCESS'))).toEqual([])
  })

  test('is one mailbox with or without brackets and in whatever case of its domain, not of its local part', () => {
    const at = (address: string): readonly Edit[] => plan(twice.slice(1), { kind: 'removeRecipient', address })
    const gone = [{ kind: 'removeRecipient', address: '<b@example.net>' }]
    for (const address of ['b@example.net', '<b@example.net>', 'b@EXAMPLE.NET']) expect(at(address)).toEqual(gone)
    expect(at('B@example.net')).toEqual([])
  })

  test('need not be left', () => {
    expect(plan(twice, remove)).toEqual([{ kind: 'removeRecipient', address: '<b@example.net>' }])
  })
})
