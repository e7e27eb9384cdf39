import { describe, expect, it } from 'vitest'
import { type Condition, condition } from '../../src/host/policy/condition.ts'
import { Gate } from '../../src/host/policy/gate.ts'
import type { Verdict } from '../../src/host/verdict.ts'
import { scripted } from './support/filters.ts'
import { CLIENT, greet, path, rig } from './support/session.ts'

const reply = (verdict: Verdict): string =>
  'reply' in verdict && verdict.reply !== null ? `${verdict.reply.code} ${verdict.reply.enhanced}` : verdict.kind

const gateOf = (when: Condition): Gate =>
  new Gate({
    selection: { when, users: null, recipients: 'any', mixed: 'apply' },
    more: [],
    services: {} as Gate['services'],
    options: new WeakMap(),
    lookups: [],
    close: async () => {},
  })

describe('what is seen of a live session', () => {
  it('is how far it has come, and between messages that it is idle', async () => {
    const { session } = rig([scripted('one')])
    const stages = [session.facts.stage]
    await session.connect(CLIENT)
    stages.push(session.facts.stage)
    await session.helo('client.example')
    stages.push(session.facts.stage)
    await session.mail(path('<a@example.com>'))
    stages.push(session.facts.stage)
    await session.rcpt(path('<b@example.net>'))
    stages.push(session.facts.stage)
    await session.data()
    session.header('Subject', ' hi')
    stages.push(session.facts.stage)
    await session.endOfMessage()
    stages.push(session.facts.stage)
    expect(stages).toEqual(['new', 'connect', 'idle', 'mail', 'rcpt', 'content', 'idle'])
    expect(session.facts).toMatchObject({ id: 's', client: CLIENT, messages: 1, wait: null })
  })

  it('is which filter it waits for, at which stage, since when, and whether the client is held on purpose', async () => {
    const thinking = scripted('thinking', { mail: () => new Promise(() => {}) })
    const first = rig([scripted('quick'), thinking])
    await greet(first.session)
    await first.clock.advance(500)
    void first.session.mail(path('<a@example.com>'))
    await first.clock.advance(2_000)
    expect(first.session.facts.wait).toEqual({ filter: 'thinking', stage: 'mail', held: false, since: 500 })
    const holding = scripted('tarpit', {
      rcpt: async ({ context }) => {
        await context.hold(5)
        return { kind: 'continue' }
      },
    })
    const second = rig([holding], { mta: 'postfix' })
    await greet(second.session)
    await second.session.mail(path('<a@example.com>'))
    const answer = second.session.rcpt(path('<b@example.net>'))
    await second.clock.advance(1_000)
    expect(second.session.facts.wait).toEqual({ filter: 'tarpit', stage: 'rcpt', held: true, since: 0 })
    await second.clock.advance(5_000)
    await answer
    expect(second.session.facts.wait).toBeNull()
  })

  it('is whose condition is being found out', async () => {
    const slow = condition(() => new Promise<boolean>(() => {}))
    const { session, clock } = rig([{ ...scripted('gated'), gate: gateOf(slow) }])
    void session.connect(CLIENT)
    await clock.advance(100)
    expect(session.facts.wait).toEqual({ filter: 'gated', stage: 'condition at connect', held: false, since: 0 })
  })
})

describe('a session that the postmaster ends', () => {
  it('is told 421 in place of the answer it waits for; the hook is aborted and the message settled', async () => {
    const reasons: unknown[] = []
    const slow = scripted('slow', {
      rcpt: ({ signal }) => {
        signal.addEventListener('abort', () => reasons.push(signal.reason))
        return new Promise(() => {})
      },
    })
    const { session, of } = rig([slow])
    await greet(session)
    await session.mail(path('<a@example.com>'))
    const answer = session.rcpt(path('<b@example.net>'))
    expect(session.kill()).toBe('now')
    expect(reply(await answer)).toBe('421 4.3.2')
    expect(reasons).toEqual([{ kind: 'shutdown', detail: 'the postmaster ended the session' }])
    expect(of('message-settled')).toMatchObject([{ outcome: 'tempfail' }])
    expect(reply(await session.mail(path('<c@example.com>')))).toBe('421 4.3.2')
    expect(session.facts.stage).toBe('ended')
  })

  it('is told at its next command when it waits for nothing', async () => {
    const { session } = rig([scripted('one')])
    await greet(session)
    expect(session.kill()).toBe('at-next-command')
    expect(reply(await session.helo('again.example'))).toBe('421 4.3.2')
  })

  it('gets 421 for a message of which a part is already there, and not an acceptance', async () => {
    const { session, of } = rig([scripted('one')])
    await greet(session)
    await session.mail(path('<a@example.com>'))
    await session.rcpt(path('<b@example.net>'))
    await session.data()
    session.header('Subject', ' hi')
    session.kill()
    session.endOfHeaders()
    await session.body(Buffer.from('text'))
    const { verdict, edits } = await session.endOfMessage()
    expect([reply(verdict), edits]).toEqual(['421 4.3.2', []])
    expect(of('message-settled')).toHaveLength(1)
  })

  it('is not killed twice, and a closed one cannot be', async () => {
    const { session, of } = rig([scripted('one')])
    await greet(session)
    await session.mail(path('<a@example.com>'))
    session.kill()
    session.kill()
    session.close({ kind: 'client-left', detail: 'QUIT' })
    session.kill()
    expect(of('message-settled')).toHaveLength(1)
  })
})
