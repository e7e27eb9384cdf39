/** What users of milter manager reported of its conditions, and what filters may know of those before them. */
import { describe, expect, it } from 'vitest'
import {
  all,
  any,
  authenticated,
  dnsbl,
  not,
  recipient,
  result,
  resultKey,
  s25r,
  sender,
  setMacro,
  verdict,
} from '../../../src/conditions.ts'
import { definePlugin, reject } from '../../../src/plugin.ts'
import { fakeDns, testPlugin } from '../../../src/testing.ts'
import { witness } from './witness.ts'

const LISTED = 'listed@example.com'
const OTHER = 'other@example.com'

describe('milter manager’s issues', () => {
  it('#42: a filter for one recipient applies, wherever among the others that one is named', async () => {
    for (const to of [
      [LISTED, OTHER],
      [OTHER, LISTED],
      [OTHER, LISTED, 'third@example.com'],
    ]) {
      const filter = witness('f', { users: [LISTED] })
      await using host = await testPlugin(filter.entry)
      await host.deliver({ to })
      expect(filter.told.slice(-3)).toEqual([`rcpt ${LISTED}`, 'data', 'end'])
    }
  })

  it('#54: ending one filter at data ends no other', async () => {
    const ends = witness('ends', { when: facts => facts.recipients.length > 5 })
    const before = witness('before')
    const after = witness('after', {}, { end: reject('spam') })
    await using host = await testPlugin([before.entry, ends.entry, after.entry])
    const { verdict: said, decidedBy } = await host.deliver()
    expect(said.kind).toBe('reject')
    expect(decidedBy).toBe('after')
    expect(ends.told).toEqual([])
    expect(before.told).toContain('end')
  })

  it('#56: a condition on sender or recipient', async () => {
    const filter = witness('f', { when: any(sender('vip@example.net'), recipient(LISTED)) })
    await using host = await testPlugin(filter.entry)
    await host.deliver({ from: 'vip@example.net', to: [OTHER] })
    await host.deliver({ from: 'x@example.net', to: [OTHER] })
    await host.deliver({ from: 'x@example.net', to: [OTHER, LISTED] })
    expect(filter.seen).toEqual([[OTHER], [LISTED]])
  })

  it('#145: a filter of which every recipient was refused does not get the message', async () => {
    const first = witness('first', { users: [LISTED] })
    const second = witness('second', {}, { rcpt: to => (to === LISTED ? reject('not here') : undefined) })
    await using host = await testPlugin([first.entry, second.entry])
    await host.deliver({ to: [LISTED, OTHER] })
    expect(first.told).not.toContain('end')
    expect(second.told).toContain('end')
  })

  it('users who have logged in pass by, whatever the client looks like', async () => {
    const filter = witness('f', { when: not(authenticated()) }, { mail: reject('no') })
    await using host = await testPlugin(filter.entry)
    expect((await host.deliver({ client: { auth: { user: 'ann' } } })).outcome).toBe('accept')
    expect((await host.deliver()).outcome).toBe('reject')
    expect(filter.told).toHaveLength(3)
  })
})

describe('filters that know of those before them', () => {
  it('S25R says suspicious, then a DNS list is asked, then greylisting', async () => {
    const dns = fakeDns({ '1.2.0.192.bl.example': { a: ['127.0.0.2'] } })
    const greylist = witness('greylist', { when: all(s25r(), dnsbl('bl.example')) })
    await using host = await testPlugin(greylist.entry, { dns })
    await host.deliver({ client: { address: '192.0.2.1', hostname: 'mail.example.net' } })
    // A name like a server's: the list is not asked at all.
    expect(dns.calls).toEqual([])
    await host.deliver({ client: { address: '192.0.2.2', hostname: null } })
    expect(greylist.told).toEqual([])
    await host.deliver({ client: { address: '192.0.2.1', hostname: 'ppp-1-2.example.net' } })
    expect(greylist.told).toContain('end')
    expect(dns.calls).toHaveLength(2)
  })

  it.each([
    ['connect', { connect: reject('no') }],
    ['mail', { mail: reject('no') }],
    ['rcpt', { rcpt: () => reject('no') }],
  ])('a verdict at %s of a filter in observe mode brings in the next', async (_, says) => {
    const suspect = witness('suspect', { mode: 'observe' }, says)
    const next = witness('next', { when: verdict('suspect', 'reject') })
    const never = witness('never', { when: verdict('suspect', 'quarantine') })
    await using host = await testPlugin([suspect.entry, next.entry, never.entry])
    expect((await host.deliver()).outcome).toBe('accept')
    expect(next.told).toContain('end')
    expect(never.told).toEqual([])
  })

  it('a verdict on one recipient is about that recipient', async () => {
    const suspect = witness('suspect', { mode: 'observe' }, { rcpt: to => (to === LISTED ? reject('no') : undefined) })
    const next = witness('next', { when: verdict('suspect') })
    await using host = await testPlugin([suspect.entry, next.entry])
    await host.deliver({ to: [OTHER, LISTED] })
    expect(next.seen).toEqual([[LISTED]])
  })

  it('a verdict on the message counts if it is waited for', async () => {
    const scanner = witness('scanner', { mode: 'observe' }, { end: reject('spam') })
    const early = witness('early', { when: verdict('scanner') })
    const late = witness('late', { when: verdict('scanner', 'reject', { at: 'message' }) })
    await using host = await testPlugin([scanner.entry, early.entry, late.entry])
    await host.deliver()
    expect([early.told.length, late.told.includes('end')]).toEqual([0, true])
  })

  it('a filter after this one has said nothing yet', async () => {
    const first = witness('first', { when: facts => facts.verdict('second') !== null })
    const second = witness('second', { mode: 'observe' }, { connect: reject('no') })
    await using host = await testPlugin([first.entry, second.entry])
    await host.deliver()
    expect(first.told).toEqual([])
  })

  it('typed results decide, as soon as they are there', async () => {
    const spf = resultKey<{ readonly result: string }>('spf')
    const answers = ['pass', 'fail']
    const publisher = definePlugin({
      name: 'spf',
      setup: () => ({ mail: event => event.publish(spf, { result: answers.shift() ?? 'none' }) }),
    })
    const greylist = witness('greylist', { when: not(result(spf, ({ result: got }) => got === 'pass')) })
    await using host = await testPlugin([publisher(), greylist.entry])
    const conversation = host.open()
    await conversation.mail('a@example.net')
    await conversation.message()
    expect(greylist.told).toEqual([])
    // The result of the message before does not count for this one.
    await conversation.mail('a@example.net')
    expect(greylist.told.at(-1)).toBe('mail a@example.net')
    await conversation.message()
  })
})

describe('setMacro', () => {
  it('shows a plugin the macro from the stage it is known, and nobody else', async () => {
    const seen: unknown[] = []
    const looks = (name: string): ReturnType<typeof definePlugin> =>
      definePlugin({
        name,
        setup: () => ({
          connect: event => void seen.push([name, 'connect', event.macro('stress'), event.macro('trusted_domain')]),
          mail: event => void seen.push([name, 'mail', event.macro('{stress}'), event.macro('trusted_domain')]),
        }),
      })
    const when = all(
      setMacro('stress'),
      setMacro('trusted_domain', facts => facts.sender.domain, sender('example.net')),
      setMacro('never', 'yes', sender('example.org')),
    )
    await using host = await testPlugin([looks('one')(undefined, { when }), looks('two')()])
    await host.deliver({ from: 'a@example.net' })
    expect(seen).toEqual([
      ['one', 'connect', 'yes', undefined],
      ['two', 'connect', undefined, undefined],
      ['one', 'mail', 'yes', 'example.net'],
      ['two', 'mail', undefined, undefined],
    ])
  })

  it('whose value cannot be had is not set, and the filter goes on', async () => {
    const seen: unknown[] = []
    const plugin = definePlugin({ name: 'f', setup: () => ({ mail: event => void seen.push(event.macro('score')) }) })
    const when = setMacro('score', () => Promise.reject(new Error('down')))
    await using host = await testPlugin(plugin(undefined, { when }))
    expect((await host.deliver()).outcome).toBe('accept')
    expect(seen).toEqual([undefined])
    expect(host.events).toContainEqual(
      expect.objectContaining({ type: 'condition-failed', condition: 'setMacro(score)' }),
    )
  })
})
