/** When a filter joins the conversation, what it is told then, and what its verdicts count for. */
import { describe, expect, it } from 'vitest'
import {
  all,
  any,
  client,
  condition,
  type Facts,
  header,
  helo,
  not,
  recipient,
  sender,
  tls,
} from '../../../src/conditions.ts'
import { accept, discard, quarantine, reject, tempfail, type Verdict } from '../../../src/plugin.ts'
import { fakeClock, testPlugin } from '../../../src/testing.ts'
import { witness } from './witness.ts'

const A = 'a@example.com'
const B = 'b@example.com'
const C = 'c@example.com'

describe('a filter with a condition', () => {
  it.each([
    ['the client', client('192.0.2.1'), ['connect', 'helo client.example.net', 'mail s@example.net']],
    ['HELO', helo('client.example.net'), ['connect', 'helo client.example.net', 'mail s@example.net']],
    ['the sender', sender('s@example.net'), ['connect', 'helo client.example.net', 'mail s@example.net']],
  ])('that holds for %s is told everything', async (_, when, greeted) => {
    const filter = witness('f', { when })
    await using host = await testPlugin(filter.entry)
    await host.deliver({ from: 's@example.net', to: [A, B] })
    expect(filter.told).toEqual([...greeted, `rcpt ${A}`, `rcpt ${B}`, 'data', 'end'])
  })

  it.each([
    ['the client', client('198.51.100.1')],
    ['HELO', helo('other.example')],
    ['TLS', tls()],
    ['the sender', sender('other@example.net')],
    ['the recipient', recipient(C)],
    ['a header', header('X-Other')],
  ])('that does not hold for %s is told nothing', async (_, when) => {
    const filter = witness('f', { when })
    await using host = await testPlugin(filter.entry)
    expect((await host.deliver({ to: [A, B] })).outcome).toBe('accept')
    expect(filter.told).toEqual([])
  })

  it('is not told anything before it is decided, and then what it has missed', async () => {
    const filter = witness('f', { when: sender('s@example.net') })
    await using host = await testPlugin(filter.entry)
    const conversation = host.open()
    await conversation.helo()
    expect(filter.told).toEqual([])
    await conversation.mail('s@example.net')
    expect(filter.told).toEqual(['connect', 'helo client.example.net', 'mail s@example.net'])
    await conversation.message()
    // For the next message it is there already; of another sender it hears nothing.
    await conversation.mail('other@example.net')
    await conversation.message()
    await conversation.mail('s@example.net')
    expect(filter.told.slice(3)).toEqual(['rcpt recipient@example.com', 'data', 'end', 'mail s@example.net'])
  })

  it('is told of the recipients that want it alone, and joins at the first of them', async () => {
    const filter = witness('f', { when: recipient(B) })
    await using host = await testPlugin(filter.entry)
    const conversation = host.open()
    await conversation.mail('s@example.net')
    await conversation.rcpt(A)
    expect(filter.told).toEqual([])
    await conversation.rcpt(B)
    await conversation.rcpt(C)
    await conversation.message()
    expect(filter.told).toEqual([
      'connect',
      'helo client.example.net',
      'mail s@example.net',
      `rcpt ${B}`,
      'data',
      'end',
    ])
    expect(filter.seen).toEqual([[B]])
  })

  it('that needs the whole message is told everything at its end', async () => {
    const filter = witness('f', { when: all(header('X-Scan', 'yes'), recipient(A, C)) })
    await using host = await testPlugin(filter.entry)
    const conversation = host.open()
    await conversation.mail('s@example.net')
    for (const to of [A, B, C]) await conversation.rcpt(to)
    await conversation.data()
    expect(filter.told).toEqual([])
    await conversation.message({ headers: [['X-Scan', 'yes']], body: 'x' })
    expect(filter.told).toEqual([
      'connect',
      'helo client.example.net',
      'mail s@example.net',
      `rcpt ${A}`,
      `rcpt ${C}`,
      'data',
      'end',
    ])
    expect(filter.seen).toEqual([[A, C]])
  })

  it('sees headers as filters before it left them, and so does its condition', async () => {
    const first = witness('first')
    const { definePlugin } = await import('../../../src/plugin.ts')
    const adds = definePlugin({
      name: 'adds',
      setup: () => ({ end: event => event.edit.appendHeader('X-Scan', 'yes') }),
    })
    const filter = witness('f', { when: header('X-Scan', 'yes') })
    await using host = await testPlugin([first.entry, adds(), filter.entry])
    await host.deliver()
    expect(filter.told).toContain('end')
  })

  it('joins late for some recipients although it is there for others', async () => {
    const filter = witness('f', { when: any(recipient(A), all(recipient(B), header('X-Scan'))) })
    await using host = await testPlugin(filter.entry)
    await host.deliver({ to: [A, B, C], message: { headers: [['X-Scan', '1']], body: '' } })
    // DATA has to wait until it is known whether it is to be told of another recipient.
    expect(filter.told.slice(3)).toEqual([`rcpt ${A}`, `rcpt ${B}`, 'data', 'end'])
    await host.deliver({ to: [A, B, C], message: { headers: [], body: '' } })
    expect(filter.told.slice(-3)).toEqual([`rcpt ${A}`, 'data', 'end'])
    expect(filter.seen).toEqual([[A, B], [A]])
  })

  it('is decided anew after a second HELO: TLS begins between the two', async () => {
    const secure = witness('secure', { when: tls() })
    const plain = witness('plain', { when: not(tls()) })
    await using host = await testPlugin([secure.entry, plain.entry])
    const conversation = host.open({ tls: {} })
    await conversation.helo('one.example')
    expect([secure.told.length, plain.told.length]).toEqual([2, 0])
  })
})

describe('what a late filter says to what it has missed', () => {
  it.each([
    ['connect', { connect: reject('not you') }],
    ['helo', { helo: reject('not you') }],
    ['mail', { mail: reject('not you') }],
  ])('a refusal at %s holds for every recipient that wants it, and for no other', async (_, says) => {
    const filter = witness('f', { when: recipient(A, C) }, says)
    await using host = await testPlugin(filter.entry)
    for (const to of [
      [A, B, C],
      [B, C, A],
    ]) {
      const { replies, outcome } = await host.deliver({ to })
      const refused = replies.filter(({ command, verdict }) => command === 'rcpt' && verdict.kind === 'reject')
      expect(refused.map(reply => reply.recipient).sort()).toEqual([A, C])
      expect(outcome).toBe('accept')
    }
  })

  it('a refusal at connect is told at MAIL to a filter chosen by the sender, for this message and the next', async () => {
    const filter = witness('f', { when: sender('s@example.net') }, { connect: reject('not you') })
    await using host = await testPlugin(filter.entry)
    const conversation = host.open()
    expect((await conversation.connect()).kind).toBe('continue')
    for (let i = 0; i < 2; i++) {
      expect((await conversation.mail('s@example.net')).kind).toBe('reject')
      conversation.reset()
      expect((await conversation.mail('t@example.net')).kind).toBe('continue')
      conversation.reset()
    }
  })

  it('a recipient refused at the end of the message counts as a refusal for its recipients', async () => {
    const refusesB = { rcpt: (to: string) => (to === B ? reject('no B') : undefined) }
    const filter = witness('f', { when: header('X-Scan') }, refusesB)
    await using host = await testPlugin(filter.entry)
    const message = { headers: [['X-Scan', '1']] as [string, string][], body: '' }
    expect((await host.deliver({ to: [A, B], message })).verdict.kind).toBe('reject')
    expect((await host.deliver({ to: [A], message })).verdict.kind).toBe('continue')
  })

  it('accept at connect ends it for the connection and nobody else', async () => {
    const early = witness('early', { when: sender('s@example.net') }, { connect: accept })
    const other = witness('other')
    await using host = await testPlugin([early.entry, other.entry])
    await host.deliver({ from: 's@example.net' })
    expect(early.told).toEqual(['connect'])
    expect(other.told).toContain('end')
  })
})

describe('a verdict on the whole message from a filter that some recipients want', () => {
  const to = [A, B, C]
  const only = recipient(A, C)

  it.each([
    ['apply', reject('spam'), 'reject', null],
    ['apply', discard, 'discard', null],
    ['apply', quarantine('odd'), 'quarantine', to],
    ['drop-recipients', reject('spam'), 'accept', [B]],
    ['drop-recipients', discard, 'accept', [B]],
    ['drop-recipients', quarantine('odd'), 'accept', [B]],
    ['quarantine', reject('spam'), 'quarantine', to],
    ['quarantine', discard, 'quarantine', to],
    ['quarantine', quarantine('odd'), 'quarantine', to],
    ['apply', tempfail('later'), 'tempfail', null],
    ['drop-recipients', tempfail('later'), 'tempfail', null],
    ['quarantine', tempfail('later'), 'tempfail', null],
  ] as const)('mixed: %s makes of %o: %s', async (mixed, end, outcome, delivered) => {
    for (const stage of ['data', 'end'] as const) {
      if (stage === 'data' && end.kind === 'quarantine') continue
      const filter = witness('f', { when: only, mixed }, { [stage]: end })
      const after = witness('after')
      await using host = await testPlugin([filter.entry, after.entry])
      const delivery = await host.deliver({ to })
      expect(delivery.outcome).toBe(outcome)
      expect(delivery.message?.recipients ?? null).toEqual(delivered)
      // Filters after it see the message without those who were dropped.
      if (delivered?.length === 1) expect(after.seen).toEqual([[B]])
    }
  })

  it('is one for all when everyone wants the filter, whatever mixed says', async () => {
    for (const mixed of ['apply', 'drop-recipients', 'quarantine'] as const) {
      const filter = witness('f', { when: recipient(A, B, C), mixed }, { end: reject('spam') })
      await using host = await testPlugin(filter.entry)
      expect((await host.deliver({ to })).verdict.kind).toBe('reject')
    }
  })

  it('two filters that drop everyone between them have refused the message', async () => {
    const one = witness('one', { when: recipient(A), mixed: 'drop-recipients' }, { end: reject('no A') })
    const two = witness('two', { when: recipient(B), mixed: 'drop-recipients' }, { end: reject('no B') })
    await using host = await testPlugin([one.entry, two.entry])
    const delivery = await host.deliver({ to: [A, B] })
    expect(delivery.verdict.kind).toBe('reject')
  })

  it('discarding at rcpt drops that recipient alone, if so configured', async () => {
    const says = { rcpt: (): Verdict => discard }
    const apply = witness('f', { when: recipient(A) }, says)
    await using whole = await testPlugin(apply.entry)
    expect((await whole.deliver({ to: [B, A] })).outcome).toBe('discard')
    const drop = witness('f', { when: recipient(A), mixed: 'drop-recipients' }, says)
    await using one = await testPlugin(drop.entry)
    for (const order of [
      [B, A],
      [A, B],
    ])
      expect((await one.deliver({ to: order })).message?.recipients).toEqual([B])
  })
})

describe('recipients', () => {
  it('all: the filter takes part only if every accepted recipient wants it', async () => {
    const filter = witness('f', { when: recipient(A, B), recipients: 'all' })
    await using host = await testPlugin(filter.entry)
    await host.deliver({ to: [A, B] })
    expect(filter.told.slice(2)).toEqual(['mail sender@example.net', `rcpt ${A}`, `rcpt ${B}`, 'data', 'end'])
    await host.deliver({ to: [A, C, B] })
    expect(filter.seen).toHaveLength(1)
  })

  it('split: who differs from the first is told to come apart, and nothing is lost', async () => {
    const filter = witness('f', { when: recipient(A, C), recipients: 'split' })
    await using host = await testPlugin(filter.entry)
    const got: string[] = []
    let left = [A, B, C]
    let rounds = 0
    while (left.length > 0 && ++rounds < 5) {
      const { replies, message } = await host.deliver({ to: left })
      got.push(...(message?.recipients ?? []))
      const later = replies.filter(({ command, verdict }) => command === 'rcpt' && verdict.kind === 'tempfail')
      for (const { verdict } of later) expect(verdict).toMatchObject({ reply: { code: 451, enhanced: '4.5.3' } })
      left = later.map(reply => reply.recipient!)
    }
    expect(rounds).toBe(2)
    expect(got.sort()).toEqual([A, B, C])
    expect(filter.seen).toEqual([[A, C]])
  })
})

describe('a condition that cannot be decided', () => {
  const broken = condition(
    async () => {
      throw new Error('the database is down')
    },
    { describe: 'broken' },
  )

  it.each([
    ['tempfail', 'tempfail'],
    ['reject', 'reject'],
    ['accept', 'accept'],
    ['quarantine', 'quarantine'],
  ] as const)('is a failure of its filter: onFailure %s', async (onFailure, outcome) => {
    const filter = witness('f', { when: broken, onFailure })
    await using host = await testPlugin(filter.entry)
    expect((await host.deliver()).outcome).toBe(outcome)
    expect(filter.told).toEqual([])
    const failures = host.events.filter(event => event.type === 'filter-failed')
    expect(failures).toMatchObject([{ filter: 'f', code: 'CONDITION_FAILED' }])
    expect(host.events).toContainEqual(
      expect.objectContaining({ type: 'condition-failed', condition: 'broken', used: null }),
    )
  })

  it('for one recipient fails for that recipient alone', async () => {
    const when = condition(({ recipient: to }) => {
      if (to.address === A) throw new Error('no such thing')
      return true
    })
    const filter = witness('f', { when })
    await using host = await testPlugin(filter.entry)
    for (const to of [
      [A, B],
      [B, A],
    ]) {
      const { replies, message } = await host.deliver({ to })
      expect(replies.find(reply => reply.recipient === A)?.verdict.kind).toBe('tempfail')
      expect(message?.recipients).toEqual([B])
    }
  })

  it('takes its onError instead, told in the log', async () => {
    for (const onError of [true, false]) {
      const when = condition(() => Promise.reject(new Error('down')), { onError, describe: 'flaky' })
      const filter = witness('f', { when })
      await using host = await testPlugin(filter.entry)
      expect((await host.deliver()).outcome).toBe('accept')
      expect(filter.told.includes('end')).toBe(onError)
      expect(host.events).toContainEqual(expect.objectContaining({ type: 'condition-failed', used: onError }))
    }
  })

  it('is not a function that happens to have the name of a shipped one', async () => {
    const authenticated = (facts: Facts): boolean => facts.client.port === 40_000
    const filter = witness('f', { when: authenticated })
    await using host = await testPlugin(filter.entry)
    await host.deliver()
    expect(filter.told).toContain('end')
  })

  it('is a function that answers with a condition', async () => {
    const filter = witness('f', { when: (() => tls()) as never })
    await using host = await testPlugin(filter.entry)
    expect((await host.deliver()).verdict.kind).toBe('tempfail')
    expect(JSON.stringify(host.events)).toContain('answered with a condition')
  })

  it('does not matter where another part settles it', async () => {
    const out = witness('out', { when: all(broken, client('198.51.100.1')) })
    const into = witness('into', { when: any(broken, client('192.0.2.1')) })
    await using host = await testPlugin([out.entry, into.entry])
    expect((await host.deliver()).outcome).toBe('accept')
    expect([out.told.includes('end'), into.told.includes('end')]).toEqual([false, true])
  })

  it('is waited for no longer than its time limit', async () => {
    const clock = fakeClock()
    let reason: unknown
    const when = condition(
      ({ signal }) =>
        new Promise<boolean>(() => signal.addEventListener('abort', () => (reason = signal.reason), { once: true })),
      { timeout: '3s', describe: 'slow' },
    )
    const filter = witness('f', { when })
    await using host = await testPlugin(filter.entry, { clock })
    const delivered = host.deliver()
    await clock.advance('2.9s')
    expect(reason).toBeUndefined()
    await clock.advance('0.2s')
    expect((await delivered).outcome).toBe('tempfail')
    expect(reason).toMatchObject({ kind: 'timeout' })
  })

  it('is given up when the client leaves', async () => {
    const when = condition(
      ({ signal, sender: from }) =>
        from.address !== '' && new Promise<boolean>(() => signal.addEventListener('abort', () => {}, { once: true })),
    )
    const filter = witness('f', { when })
    await using host = await testPlugin(filter.entry)
    const conversation = host.open()
    const answer = conversation.mail('s@example.net')
    await new Promise(resolve => setImmediate(resolve))
    conversation.disconnect()
    expect((await answer).kind).toBe('tempfail')
    expect(host.events.filter(event => event.type === 'condition-failed')).toEqual([])
  })

  it('in observe mode stops nobody', async () => {
    const filter = witness('f', { when: broken, mode: 'observe' })
    await using host = await testPlugin(filter.entry)
    expect((await host.deliver()).outcome).toBe('accept')
  })
})
