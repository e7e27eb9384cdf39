/** `users:` of an entry and the central `policy:`: who is meant, in which order, and what comes with the yes. */
import { describe, expect, it } from 'vitest'
import { sender } from '../../../src/conditions.ts'
import type { Config } from '../../../src/index.ts'
import { lookup } from '../../../src/lookups.ts'
import { type DataEvent, definePlugin } from '../../../src/plugin.ts'
import { testConfig, testPlugin } from '../../../src/testing.ts'
import { type Witness, witness } from './witness.ts'

const told = ({ told: list }: Witness): string[] =>
  list.filter(what => what.startsWith('rcpt')).map(what => what.slice(5))

const ANN = 'ann@example.org'
const BOB = 'bob@sub.example.org'
const CAT = 'cat@example.com'
const ALL = [ANN, BOB, CAT]

describe('users', () => {
  it.each([
    ['an address', ['ANN@Example.org'], [ANN]],
    ['a domain and all below it', ['example.org'], [ANN, BOB]],
    ['a domain alone', ['@example.org'], [ANN]],
    ['a local part', ['cat@'], [CAT]],
    ['an expression', [/^b/], [BOB]],
    ['nobody', ['example.net'], []],
  ])('as a list: %s', async (_, users, wanted) => {
    const filter = witness('f', { users })
    await using host = await testPlugin(filter.entry)
    await host.deliver({ to: ALL })
    expect(told(filter)).toEqual(wanted)
  })

  it('as a function, sync or async, that may say nothing', async () => {
    for (const users of [
      (to: { local: string }) => (to.local === 'ann' ? true : null),
      async (to: { local: string }) => (to.local === 'ann' ? true : undefined),
    ]) {
      const filter = witness('f', { users })
      await using host = await testPlugin(filter.entry)
      await host.deliver({ to: ALL })
      expect(told(filter)).toEqual([ANN])
    }
  })

  it('as a look-up: address, address without extension, domain, parent domains, default', async () => {
    const table: Record<string, unknown> = {
      'ann+list@example.org': 'no',
      'ann@example.org': 'yes',
      'sub.example.org': 'no',
      'example.org': 'yes',
      '*': 'no',
    }
    const asked: string[] = []
    const users = lookup('table', key => {
      asked.push(key)
      return table[key] ?? null
    })
    const filter = witness('f', { users })
    await using host = await testPlugin(filter.entry)
    await host.deliver({
      to: ['ann+list@example.org', 'ann+x@example.org', 'ann@example.org', BOB, 'eve@a.b.example.org', CAT],
    })
    expect(told(filter)).toEqual(['ann+x@example.org', 'ann@example.org', 'eve@a.b.example.org'])
    expect(asked).toContain('*')
  })

  it('of a look-up that fails: onFailure, for each recipient by itself', async () => {
    const users = lookup('table', key => {
      if (key.startsWith('ann')) throw new Error('down')
      return key === 'example.org' || key === 'example.com' ? 'no' : null
    })
    const filter = witness('f', { users })
    await using host = await testPlugin(filter.entry)
    const { replies, message } = await host.deliver({ to: ALL })
    expect(replies.filter(({ command }) => command === 'rcpt').map(({ verdict }) => verdict.kind)).toEqual([
      'tempfail',
      'continue',
      'continue',
    ])
    expect(message?.recipients).toEqual([BOB, CAT])
  })

  it('that say neither yes nor no are a failure, not a guess', async () => {
    const filter = witness('f', { users: (() => 'maybe') as never })
    await using host = await testPlugin(filter.entry)
    expect((await host.deliver({ to: ANN })).verdict.kind).toBe('tempfail')
    expect(JSON.stringify(host.events)).toContain('must be yes or no')
  })

  it('give a plugin options for a recipient', async () => {
    const seen: unknown[] = []
    const plugin = definePlugin({
      name: 'f',
      setup: () => ({ rcpt: event => void seen.push([event.recipient.local, event.options]) }),
    })
    await using host = await testConfig({
      filters: [plugin(undefined, { users: to => (to.local === 'ann' ? { wait: 60 } : to.local === 'bob') })],
      policy: { [ANN]: { f: { wait: 10, mark: true } } },
    })
    await host.deliver({ to: ALL })
    expect(seen).toEqual([
      ['ann', { wait: 60, mark: true }],
      ['bob', null],
    ])
  })

  it.each([
    [
      'all recipients have them',
      { to: [ANN, 'Ann@example.org'], agreed: { wait: 60 }, each: [{ wait: 60 }, { wait: 60 }] },
    ],
    ['they differ', { to: [ANN, BOB], agreed: null, each: [{ wait: 60 }, null] }],
    ['nobody has any', { to: [BOB], agreed: null, each: [null] }],
  ])(
    'are there at data and in the whole message, without a hook for rcpt, when %s',
    async (_, { to, agreed, each }) => {
      const seen: unknown[] = []
      const note = (event: DataEvent, hook: string): void =>
        void seen.push([hook, event.options, event.recipients.map(one => event.optionsOf(one))])
      const plugin = definePlugin({
        name: 'f',
        setup: () => ({
          data: event => note(event, 'data'),
          headers: event => note(event, 'headers'),
          body: event => note(event, 'body'),
          end: event => note(event, 'end'),
        }),
      })
      await using host = await testPlugin(
        plugin(undefined, { users: one => (one.local.toLowerCase() === 'ann' ? { wait: 60 } : true) }),
      )
      await host.deliver({ to })
      expect(seen).toEqual(['data', 'headers', 'body', 'end'].map(hook => [hook, agreed, each]))
      seen.length = 0
      await host.deliver({ to: [BOB] })
      expect(seen[0]).toEqual(['data', null, [null]])
    },
  )

  it('and a condition must both agree', async () => {
    const filter = witness('f', { users: ['example.org'], when: sender('s@example.net') })
    await using host = await testPlugin(filter.entry)
    await host.deliver({ from: 'other@example.net', to: ALL })
    expect(filter.told).toEqual([])
    await host.deliver({ from: 's@example.net', to: ALL })
    expect(told(filter)).toEqual([ANN, BOB])
  })
})

describe('the central policy', () => {
  const chain = async (policy: Config['policy'], users?: readonly string[]): Promise<[string[], string[]]> => {
    const one = witness('one', users === undefined ? {} : { users })
    const two = witness('two')
    await using host = await testConfig({
      filters: [one.entry, two.entry],
      ...(policy === undefined ? {} : { policy }),
    })
    await host.deliver({ to: ALL })
    return [told(one), told(two)]
  }

  it('switches filters for addresses and domains; of which nothing is said, is on', async () => {
    expect(
      await chain({
        'example.org': 'one=off',
        'Ann@Example.org': { two: false },
        'example.com': { one: false, two: true },
      }),
    ).toEqual([[ANN], [BOB, CAT]])
    expect(await chain({})).toEqual([ALL, ALL])
    expect(await chain({ '*': 'one=off two=off', 'example.com': 'one' })).toEqual([[CAT], [CAT]])
  })

  it('is refined by the users of an entry: either can switch off', async () => {
    expect(await chain({ [ANN]: { one: false }, [CAT]: { one: true } }, ['example.org'])).toEqual([[BOB], ALL])
  })

  it('may be a function, asked once a recipient for all filters', async () => {
    const asked: string[] = []
    const policy = async (to: { address: string }): Promise<Record<string, boolean> | null> => {
      asked.push(to.address)
      return to.address === ANN ? { one: false } : null
    }
    expect(await chain(policy)).toEqual([[BOB, CAT], ALL])
    expect(asked).toEqual(ALL)
  })

  it('may be a look-up', async () => {
    const policy = lookup('site', key =>
      key === 'example.org' ? 'one=off' : key === ANN ? { one: true, two: 'no' } : null,
    )
    expect(await chain(policy)).toEqual([
      [ANN, CAT],
      [BOB, CAT],
    ])
  })

  it('that fails is a failure of every filter it could have switched', async () => {
    const one = witness('one', { onFailure: 'accept' })
    const two = witness('two')
    await using host = await testConfig({
      filters: [one.entry, two.entry],
      policy: () => {
        throw new Error('down')
      },
    })
    expect((await host.deliver({ to: ANN })).verdict.kind).toBe('tempfail')
    const failed = host.events.flatMap(event => (event.type === 'filter-failed' ? [event.filter] : []))
    expect(failed).toEqual(['one', 'two'])
  })
})
