import { describe, expect, it } from 'vitest'
import { ACCEPT, CONTINUE, DISCARD, REJECT, rejectWith, TEMPFAIL, tempfailWith } from '../../src/host/verdict.ts'
import { type Script, scripted } from './support/filters.ts'
import { CLIENT, deliver, greet, path, rig } from './support/session.ts'

const SERVICE_UNAVAILABLE = tempfailWith(451, '4.7.1', 'Service unavailable - try again later')
const never = (): Promise<never> => new Promise(() => {})

describe('order', () => {
  it('asks filters in the order written and accepts when none objects', async () => {
    const [a, b] = [scripted('a'), scripted('b')]
    const { session, of } = rig([a, b])
    await greet(session)
    const { end } = await deliver(session)
    expect(end).toEqual({ verdict: CONTINUE, edits: [] })
    expect(a.told).toEqual(['open', 'connect', 'helo', 'mail', 'rcpt', 'data', 'message', 'settled:accept'])
    expect(b.told).toEqual(a.told)
    const order = of('filter-answered').map(event => `${event.stage} ${event.filter}`)
    expect(order.slice(0, 4)).toEqual(['connect a', 'connect b', 'helo a', 'helo b'])
  })

  it.each(['connect', 'helo', 'mail', 'data', 'message'] as const)(
    'a rejection at %s is the answer, and later filters do not see that command',
    async stage => {
      const verdict = rejectWith(550, '5.7.1', 'no')
      const script: Script = { [stage]: verdict }
      const [a, b] = [scripted('a', script), scripted('b')]
      const { session, of } = rig([a, b])
      const answers = [await session.connect(CLIENT), await session.helo('x')]
      const { replies, end } = await deliver(session)
      expect([...answers, ...replies, ...(end ? [end.verdict] : [])]).toContainEqual(verdict)
      expect(b.told).not.toContain(stage)
      expect(of('message-settled').at(-1)).toMatchObject({ outcome: 'reject', decidedBy: 'a', verdict })
    },
  )

  it('a refused recipient is refused alone, and only earlier filters have seen it', async () => {
    const a = scripted('a')
    const b = scripted('b', { rcpt: ({ count }) => (count === 1 ? REJECT : CONTINUE) })
    const c = scripted('c')
    const { session } = rig([a, b, c])
    await greet(session)
    const { replies, end } = await deliver(session, { to: ['<x@example.net>', '<y@example.net>'] })
    expect(replies.map(reply => reply.kind)).toEqual(['continue', 'reject', 'continue', 'continue'])
    expect(c.told.filter(stage => stage === 'rcpt')).toHaveLength(1)
    expect(c.seen[0]?.recipients.map(to => to.raw)).toEqual(['<y@example.net>'])
    expect(end?.verdict).toEqual(CONTINUE)
  })

  it('a connection refused at connect stays refused if the MTA goes on', async () => {
    const { session } = rig([scripted('a', { connect: REJECT })])
    expect(await session.connect(CLIENT)).toEqual(REJECT)
    expect(await session.helo('x')).toEqual(REJECT)
    expect(await session.mail(path('<a@example.com>'))).toEqual(REJECT)
  })
})

describe('accept', () => {
  it.each(['connect', 'helo', 'mail', 'rcpt', 'data', 'message'] as const)(
    'at %s ends that filter and no other',
    async stage => {
      const script: Script = { [stage]: ACCEPT }
      const [a, b] = [scripted('a', script), scripted('b')]
      const { session } = rig([a, b])
      await greet(session)
      const { end } = await deliver(session)
      expect(end?.verdict).toEqual(CONTINUE)
      expect(a.told.slice(a.told.indexOf(stage) + 1).filter(word => !/close|abort|settled/.test(word))).toEqual([])
      expect(b.told).toContain('message')
    },
  )

  it('of every filter lets the MTA keep the content', async () => {
    const { session, of } = rig([scripted('a', { mail: ACCEPT })])
    await greet(session)
    const { replies } = await deliver(session)
    expect(replies.at(-1)).toEqual(ACCEPT)
    expect(of('message-settled')).toMatchObject([{ outcome: 'accept' }])
  })

  it('at helo holds for the connection, at mail for the message only', async () => {
    const [a, b] = [scripted('a', { helo: ACCEPT }), scripted('b', { mail: ACCEPT })]
    const { session } = rig([a, b, scripted('c')])
    await greet(session)
    await deliver(session)
    await deliver(session)
    expect(a.told.filter(word => word === 'mail')).toHaveLength(0)
    expect(b.told.filter(word => word === 'mail')).toHaveLength(2)
  })
})

describe('discard and quarantine', () => {
  it.each(['mail', 'rcpt', 'data'] as const)('discard at %s is said at once and nobody hears more', async stage => {
    const script: Script = { [stage]: DISCARD }
    const [a, b] = [scripted('a'), scripted('b', script)]
    const { session, of } = rig([a, b])
    await greet(session)
    const { replies } = await deliver(session)
    expect(replies.at(-1)).toEqual(DISCARD)
    expect(a.told).toContain('settled:discard')
    expect(a.told).toContain('abort')
    expect(await session.data()).toEqual(CONTINUE)
    expect((await session.endOfMessage()).verdict).toEqual(DISCARD)
    session.abort()
    expect(of('message-settled')).toMatchObject([{ outcome: 'discard', decidedBy: 'b' }])
  })

  it('discard at connect means nothing and is reported', async () => {
    const { session, of } = rig([scripted('a', { connect: DISCARD })])
    expect(await session.connect(CLIENT)).toEqual(CONTINUE)
    expect(of('answer-refused')).toMatchObject([{ filter: 'a', stage: 'connect' }])
  })

  it.each(['mail', 'rcpt', 'message'] as const)(
    'quarantine at %s holds the message, seen by later filters',
    async stage => {
      const script: Script = { [stage]: { kind: 'quarantine', reason: 'look' } }
      const b = scripted('b')
      const { session, of } = rig([scripted('a', script), b])
      await greet(session)
      const { end } = await deliver(session)
      expect(end).toEqual({ verdict: CONTINUE, edits: [{ kind: 'quarantine', reason: 'look' }] })
      expect(b.told).toContain('message')
      expect(of('message-settled')).toMatchObject([{ outcome: 'quarantine' }])
    },
  )

  it('a quarantine is dropped when the message is refused after it', async () => {
    const a = scripted('a', { message: { kind: 'quarantine', reason: 'look' } })
    const { session } = rig([a, scripted('b', { message: TEMPFAIL })])
    await greet(session)
    expect((await deliver(session)).end).toEqual({ verdict: TEMPFAIL, edits: [] })
  })
})

describe('edits', () => {
  const stamp = (name: string): Script => ({ edits: [{ kind: 'insertHeader', index: 1, name, value: ' 1' }] })

  it('of one filter are seen by the next, and reach the MTA as one batch', async () => {
    const b = scripted('b', stamp('X-B'))
    const { session } = rig([scripted('a', stamp('X-A')), b])
    await greet(session)
    const { end } = await deliver(session)
    expect(b.seen[0]?.headers.map(field => field.name)).toEqual(['X-A', 'Subject'])
    expect(end?.edits.map(edit => ('name' in edit ? edit.name : edit.kind)).sort()).toEqual(['X-A', 'X-B'])
  })

  it.each([REJECT, TEMPFAIL, DISCARD])('are dropped with the message on %o', async verdict => {
    const { session } = rig([scripted('a', stamp('X-A')), scripted('b', { message: verdict })])
    await greet(session)
    expect((await deliver(session)).end).toEqual({ verdict, edits: [] })
  })

  it('over the limit cost that filter', async () => {
    const edits = Array.from(
      { length: 5 },
      (_, i) => ({ kind: 'insertHeader', index: 1, name: `X-${i}`, value: '' }) as const,
    )
    const { session, of } = rig([scripted('a', { edits, policy: { onFailure: 'accept' } })], { limits: { edits: 4 } })
    await greet(session)
    expect((await deliver(session)).end).toEqual({ verdict: CONTINUE, edits: [] })
    expect(of('filter-failed')).toMatchObject([{ code: 'LIMIT_EDITS' }])
  })
})

describe('a failing filter', () => {
  const boom = (): never => {
    throw new Error('boom')
  }
  const stages = ['connect', 'helo', 'mail', 'rcpt', 'data', 'message'] as const

  it.each(stages)('that throws at %s costs this message a spoken 451 and the next one nothing', async stage => {
    let broken = true
    const script: Script = { [stage]: () => (broken ? boom() : CONTINUE) }
    const [a, b] = [scripted('a', script), scripted('b')]
    const { session, of } = rig([a, b])
    const greeting = [await session.connect(CLIENT), await session.helo('x')]
    expect(greeting).toEqual([CONTINUE, CONTINUE])
    const first = await deliver(session)
    expect([...first.replies, first.end?.verdict]).toContainEqual(SERVICE_UNAVAILABLE)
    expect(first.end?.edits ?? []).toEqual([])
    expect(of('filter-failed')).toMatchObject([{ filter: 'a', code: 'FILTER_THREW', onFailure: 'tempfail' }])
    session.abort()
    broken = false
    const second = await deliver(session)
    expect(second.end?.verdict).toEqual(CONTINUE)
    expect(a.told.slice(a.told.lastIndexOf('open'))).toEqual(
      stage === 'connect' || stage === 'helo' || a.told.filter(word => word === 'open').length > 1
        ? ['open', 'connect', 'helo', 'mail', 'rcpt', 'data', 'message', 'settled:accept']
        : expect.anything(),
    )
    expect(a.told.filter(word => word === 'open')).toHaveLength(2)
  })

  it.each(stages)('at %s with onFailure accept is gone without, and the others go on', async stage => {
    const script: Script = {
      [stage]: boom,
      edits: [{ kind: 'insertHeader', index: 1, name: 'X-A', value: '' }],
      policy: { onFailure: 'accept' },
    }
    const b = scripted('b')
    const { session, of } = rig([scripted('a', script), b])
    await greet(session)
    const { end } = await deliver(session)
    expect(end).toEqual({ verdict: CONTINUE, edits: [] })
    expect(b.told).toContain('message')
    expect(of('filter-failed')).toMatchObject([{ onFailure: 'accept' }])
  })

  it.each(stages)('at %s with onFailure quarantine holds the message', async stage => {
    const script: Script = { [stage]: boom, policy: { onFailure: 'quarantine' } }
    const { session } = rig([scripted('a', script), scripted('b')])
    await greet(session)
    expect((await deliver(session)).end?.edits).toEqual([{ kind: 'quarantine', reason: 'filter a failed' }])
  })

  it.each(stages)('at %s with onFailure reject refuses the message', async stage => {
    const script: Script = { [stage]: boom, policy: { onFailure: 'reject' } }
    const { session } = rig([scripted('a', script), scripted('b')])
    await greet(session)
    const { replies, end } = await deliver(session)
    expect([...replies, end?.verdict]).toContainEqual(rejectWith(550, '5.7.1', 'Service unavailable'))
  })

  it('that fails at one recipient lets no later stage of the message pass', async () => {
    const a = scripted('a', { rcpt: ({ count }) => (count === 2 ? boom() : CONTINUE) })
    const { session } = rig([a])
    await greet(session)
    const { replies } = await deliver(session, { to: ['<x@example.net>', '<y@example.net>', '<z@example.net>'] })
    expect(replies.map(reply => reply.kind)).toEqual(['continue', 'continue', 'tempfail', 'tempfail', 'tempfail'])
  })

  it('that throws a value nobody can read is reported like any other', async () => {
    const hostile = Object.defineProperty({}, 'message', {
      get: () => {
        throw new Error('trap')
      },
    })
    for (const thrown of [null, undefined, 7, hostile, Object.create(null)]) {
      const script: Script = {
        mail: () => {
          throw thrown
        },
      }
      const { session, of } = rig([scripted('a', script)])
      await greet(session)
      expect((await deliver(session)).replies).toEqual([SERVICE_UNAVAILABLE])
      expect(of('filter-failed')).toHaveLength(1)
    }
  })

  it('that never answers is left at its own limit and its signal is aborted', async () => {
    let signal: AbortSignal | undefined
    const a = scripted('a', {
      mail: call => {
        signal = call.signal
        return never()
      },
      policy: { timeouts: { connect: 1_000, command: 3_000, end: 3_000 } },
    })
    const { session, clock, of } = rig([a])
    await greet(session)
    const pending = session.mail(path('<a@example.com>'))
    await clock.advance(2_999)
    expect(signal?.aborted).toBe(false)
    await clock.advance(1)
    expect(await pending).toEqual(SERVICE_UNAVAILABLE)
    expect(signal?.reason).toMatchObject({ kind: 'timeout' })
    expect(of('filter-failed')).toMatchObject([{ code: 'FILTER_TIMEOUT', milliseconds: 3_000 }])
    expect(clock.pending).toBe(0)
  })

  it('cannot spend more than the chain has left, however patient its own limit', async () => {
    const slow = scripted('slow', {
      mail: never,
      policy: { onFailure: 'accept', timeouts: { connect: 1, command: 5_000, end: 1 } },
    })
    const slower = scripted('slower', { mail: never })
    const { session, clock, of } = rig([slow, slower, scripted('c')], { mta: 'sendmail' })
    await greet(session)
    const pending = session.mail(path('<a@example.com>'))
    await clock.advance(8_000)
    expect(await pending).toEqual(SERVICE_UNAVAILABLE)
    expect(of('filter-failed').map(event => [event.filter, event.code])).toEqual([
      ['slow', 'FILTER_TIMEOUT'],
      ['slower', 'BUDGET_SPENT'],
    ])
  })

  it('that answers after its time is not heard', async () => {
    let answer: (verdict: typeof REJECT) => void = () => {}
    const a = scripted('a', {
      mail: ({ count }) =>
        count === 1
          ? new Promise(resolve => {
              answer = resolve
            })
          : CONTINUE,
      policy: { onFailure: 'accept', timeouts: { connect: 1, command: 10, end: 10 } },
    })
    const { session, clock } = rig([a, scripted('b')])
    await greet(session)
    const pending = deliver(session)
    await clock.advance(10)
    answer(REJECT)
    expect((await pending).end?.verdict).toEqual(CONTINUE)
    expect((await deliver(session)).end?.verdict).toEqual(CONTINUE)
  })

  it('in observe mode changes nothing', async () => {
    const { session, of } = rig([scripted('a', { mail: boom, policy: { mode: 'observe' } })])
    await greet(session)
    expect((await deliver(session)).replies).toEqual([CONTINUE, CONTINUE, ACCEPT])
    expect(of('filter-failed')).toMatchObject([{ observed: true }])
  })
})

describe('observe', () => {
  it.each(['connect', 'helo', 'mail', 'rcpt', 'data', 'message'] as const)(
    'a verdict at %s is told and dropped',
    async stage => {
      const script: Script = {
        [stage]: REJECT,
        edits: [{ kind: 'insertHeader', index: 1, name: 'X-A', value: '' }],
        policy: { mode: 'observe' },
      }
      const { session, of } = rig([scripted('a', script), scripted('b')])
      await greet(session)
      expect((await deliver(session)).end).toEqual({ verdict: CONTINUE, edits: [] })
      expect(of('filter-answered').find(event => event.filter === 'a' && event.stage === stage)).toMatchObject({
        observed: true,
        verdict: REJECT,
      })
    },
  )

  it('a filter that refused every recipient is not given the message it would never answer', async () => {
    const a = scripted('a', { rcpt: REJECT, policy: { mode: 'observe' } })
    const { session } = rig([a, scripted('b')])
    await greet(session)
    await deliver(session)
    expect(a.told).toEqual(['open', 'connect', 'helo', 'mail', 'rcpt', 'abort', 'settled:accept'])
  })
})

describe('limits', () => {
  it('too many header fields are refused once, at the end, and other messages pass', async () => {
    const { session, of } = rig([scripted('a')], { limits: { headers: 10 } })
    await greet(session)
    const headers = Array.from({ length: 11 }, (_, i) => [`X-${i}`, ' v'] as const)
    expect((await deliver(session, { headers })).end?.verdict).toEqual(
      rejectWith(552, '5.3.4', 'Too many header fields'),
    )
    expect(of('limit-reached')).toMatchObject([{ code: 'LIMIT_HEADERS' }])
    expect((await deliver(session)).end?.verdict).toEqual(CONTINUE)
  })

  it('large headers and bodies are refused', async () => {
    const { session } = rig([scripted('a')], { limits: { headerBytes: 100, body: 100 } })
    await greet(session)
    const large = 'x'.repeat(200)
    expect((await deliver(session, { headers: [['X', large]] })).end?.verdict).toEqual(
      rejectWith(552, '5.3.4', 'Message headers too large'),
    )
    expect((await deliver(session, { body: large })).end?.verdict).toEqual(
      rejectWith(552, '5.3.4', 'Message body too large'),
    )
  })

  it('recipients beyond the limit are put off, the others get the message', async () => {
    const { session } = rig([scripted('a')], { limits: { recipients: 1 } })
    await greet(session)
    const { replies, end } = await deliver(session, { to: ['<x@example.net>', '<y@example.net>'] })
    expect(replies[2]).toEqual(tempfailWith(452, '4.5.3', 'Too many recipients'))
    expect(end?.verdict).toEqual(CONTINUE)
  })
})

describe('time and interruption', () => {
  it('a client that leaves ends the hold, the hook’s signal, and the message', async () => {
    const outcomes: unknown[] = []
    const a = scripted('a', {
      rcpt: async ({ context, signal }) => {
        outcomes.push(await context.hold(10), (signal.reason as { kind: string }).kind)
        return REJECT
      },
    })
    const { session, of } = rig([a])
    await greet(session)
    await session.mail(path('<a@example.com>'))
    const pending = session.rcpt(path('<b@example.net>'), null)
    session.close({ kind: 'client-left', detail: 'gone' })
    expect((await pending).kind).toBe('tempfail')
    await new Promise(resolve => setImmediate(resolve))
    expect(outcomes).toEqual(['client-left', 'client-left'])
    expect(a.told).toEqual(['open', 'connect', 'helo', 'mail', 'rcpt', 'abort', 'settled:client-left', 'close'])
    expect(of('message-settled')).toMatchObject([{ outcome: 'client-left' }])
    expect(of('session-closed')).toHaveLength(1)
  })

  it('shutdown is spoken as 451 while a filter still thinks', async () => {
    const { session } = rig([scripted('a', { message: never })])
    await greet(session)
    const pending = deliver(session)
    await new Promise(resolve => setTimeout(resolve, 20))
    session.interrupt({ kind: 'shutdown', detail: 'stopping' })
    expect((await pending).end?.verdict).toEqual(tempfailWith(451, '4.3.2', 'Service shutting down - try again later'))
  })

  it('content after a refused MAIL is never accepted', async () => {
    const { session } = rig([scripted('a', { mail: TEMPFAIL })])
    await greet(session)
    expect(await session.mail(path('<a@example.com>'))).toEqual(TEMPFAIL)
    session.header('Subject', ' x')
    expect((await session.endOfMessage()).verdict.kind).toBe('tempfail')
  })

  it('RSET begins anew: the next message has nothing of the last one', async () => {
    const a = scripted('a')
    const { session, of } = rig([a])
    await greet(session)
    await session.mail(path('<a@example.com>'))
    await session.rcpt(path('<x@example.net>'), null)
    session.abort()
    const { end } = await deliver(session, { to: ['<y@example.net>'] })
    expect(end?.verdict).toEqual(CONTINUE)
    expect(a.seen[0]?.recipients.map(to => to.raw)).toEqual(['<y@example.net>'])
    expect(of('message-settled').map(event => event.outcome)).toEqual(['aborted', 'accept'])
  })

  it('a message that lost all its recipients is told with the refusal that ended it', async () => {
    const { session, of } = rig([scripted('greylist', { rcpt: tempfailWith(451, '4.7.1', 'later') })])
    await greet(session)
    await deliver(session)
    session.abort()
    expect(of('message-settled')).toMatchObject([{ outcome: 'tempfail', decidedBy: 'greylist' }])
  })
})
