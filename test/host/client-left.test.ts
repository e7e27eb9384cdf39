import { describe, expect, it } from 'vitest'
import type { OnClientLeft } from '../../src/host/config/settings.ts'
import type { Liveness } from '../../src/host/time/liveness.ts'
import type { Verdict } from '../../src/host/verdict.ts'
import { CONTINUE } from '../../src/host/verdict.ts'
import { type Answer, type ScriptedFilter, scripted } from './support/filters.ts'
import { CLIENT, deliver, greet, path, type Rig, type RigOptions, rig } from './support/session.ts'

/** A source whose clients are there until the test says otherwise. */
function fake(): Liveness & { leave(): void; looks: number } {
  let state: 'present' | 'gone' = 'present'
  const source = {
    looks: 0,
    async look(questions: readonly unknown[]) {
      source.looks++
      return questions.map(() => ({ state }))
    },
    leave: () => {
      state = 'gone'
    },
  }
  return source
}

/** An answer that does not come; the reason is kept with which it is given up. */
function never(): { answer: Answer; reasons: unknown[]; asked: () => number } {
  const reasons: unknown[] = []
  let asked = 0
  return {
    reasons,
    asked: () => asked,
    answer: ({ signal }) => {
      asked++
      signal.addEventListener('abort', () => reasons.push(signal.reason))
      return new Promise(() => {})
    },
  }
}

interface LeftRig extends Rig {
  readonly source: ReturnType<typeof fake>
}

function setUp(filters: readonly ScriptedFilter[], options: RigOptions = {}): LeftRig {
  const source = fake()
  const made = rig(filters, { liveness: source, ...options })
  made.session.macros.set(
    'connect',
    new Map([
      ['daemon_addr', '192.0.2.25'],
      ['daemon_port', '25'],
    ]),
  )
  return { ...made, source }
}

/** Leaves while the answer is awaited; the answer. */
async function leaveDuring(made: LeftRig, answer: Promise<Verdict>): Promise<Verdict> {
  await made.clock.advance(1_500)
  made.source.leave()
  await made.clock.advance(1_000)
  return answer
}

const reply = (verdict: Verdict): string =>
  'reply' in verdict && verdict.reply !== null ? `${verdict.reply.code} ${verdict.reply.enhanced}` : verdict.kind

const REASON = { kind: 'client-left', detail: 'the client has left' }

describe('a client that leaves while a filter is waited for', () => {
  it('at rcpt: 421 to the MTA, the hook aborted, the message settled, and nothing of it again', async () => {
    const hook = never()
    const first = scripted('first')
    const slow = scripted('slow', { rcpt: hook.answer })
    const last = scripted('last')
    const made = setUp([first, slow, last])
    const { session } = made
    await greet(session)
    await session.mail(path('<a@example.com>'))
    expect(reply(await leaveDuring(made, session.rcpt(path('<b@example.net>'))))).toBe('421 4.4.2')
    expect(hook.reasons).toEqual([REASON])
    expect(first.told).toEqual(['open', 'connect', 'helo', 'mail', 'rcpt', 'abort', 'settled:client-left'])
    expect(slow.told).toEqual(['open', 'connect', 'helo', 'mail', 'rcpt', 'abort', 'settled:client-left', 'close'])
    expect(last.told).toEqual(['open', 'connect', 'helo', 'mail', 'abort', 'settled:client-left'])
    expect(made.of('message-settled')).toMatchObject([{ outcome: 'client-left', verdict: { reply: { code: 421 } } }])
    expect(made.of('client-left')).toMatchObject([
      { awaited: 'slow', message: 's.1', client: CLIENT, milliseconds: 2_000 },
    ])
    expect(made.of('filter-failed')).toEqual([])
    // The MTA's own farewell finds nothing more to end.
    session.abort()
    session.close({ kind: 'mta-abort', detail: 'QUIT' })
    expect(made.of('message-settled')).toHaveLength(1)
    expect(first.told.filter(what => what.startsWith('settled'))).toHaveLength(1)
  })

  it.each(['connect', 'helo', 'mail', 'data', 'unknown'] as const)('at %s', async stage => {
    const hook = never()
    const filter = scripted('slow', { [stage]: hook.answer })
    const made = setUp([filter])
    const { session } = made
    const steps = {
      connect: () => session.connect(CLIENT),
      helo: () => session.helo('client.example'),
      mail: () => session.mail(path('<a@example.com>')),
      rcpt: () => session.rcpt(path('<b@example.net>')),
      data: () => session.data(),
      unknown: () => session.unknown('VRFY'),
    }
    const order = ['connect', 'helo', 'mail', 'rcpt', 'data'] as const
    if (stage === 'unknown') await greet(session)
    else for (const before of order.slice(0, order.indexOf(stage))) await steps[before]()
    expect(reply(await leaveDuring(made, steps[stage]()))).toBe('421 4.4.2')
    expect(hook.reasons).toEqual([REASON])
    const inMessage = stage === 'mail' || stage === 'data'
    expect(made.of('message-settled').map(({ outcome }) => outcome)).toEqual(inMessage ? ['client-left'] : [])
  })

  it('at the end of the message: nothing is kept and no edit is written', async () => {
    const hook = never()
    const editor = scripted('editor', { edits: [{ kind: 'addHeader', name: 'X-Seen', value: ' yes' }] })
    const made = setUp([editor, scripted('slow', { message: hook.answer })])
    await greet(made.session)
    const delivery = deliver(made.session)
    await made.clock.advance(2_500)
    made.source.leave()
    await made.clock.advance(1_000)
    const { end } = await delivery
    expect(end?.edits).toEqual([])
    expect(reply(end!.verdict)).toBe('421 4.4.2')
    expect(hook.reasons).toEqual([REASON])
    expect(made.of('message-settled')).toMatchObject([{ outcome: 'client-left', result: null }])
    expect(editor.told.at(-1)).toBe('settled:client-left')
  })

  it('a hold ends as client-left', async () => {
    const outcomes: string[] = []
    const filter = scripted('tarpit', {
      rcpt: async ({ context }) => {
        outcomes.push(await context.hold(20))
        return CONTINUE
      },
    })
    const made = setUp([filter])
    await greet(made.session)
    await made.session.mail(path('<a@example.com>'))
    expect(reply(await leaveDuring(made, made.session.rcpt(path('<b@example.net>'))))).toBe('421 4.4.2')
    expect(outcomes).toEqual(['client-left'])
  })

  it('a filter in observe mode is no exception', async () => {
    const hook = never()
    const made = setUp([scripted('watching', { rcpt: hook.answer, policy: { mode: 'observe' } })])
    await greet(made.session)
    await made.session.mail(path('<a@example.com>'))
    expect(reply(await leaveDuring(made, made.session.rcpt(path('<b@example.net>'))))).toBe('421 4.4.2')
    expect(hook.reasons).toEqual([REASON])
  })
})

describe('commands that the MTA had already', () => {
  it.each([
    ['421', '421 4.4.2'],
    ['tempfail', '451 4.4.2'],
    ['discard', 'discard'],
    ['accept', 'continue'],
  ] as const)(
    'onClientLeft %s answers all of them with %s, and no filter hears of them',
    async (onClientLeft, expected) => {
      const hook = never()
      const filter = scripted('slow', {
        mail: ({ count, ...call }) =>
          count === 1 ? (hook.answer as never as (call: unknown) => Promise<Verdict>)(call) : CONTINUE,
      })
      const made = setUp([filter], { onClientLeft: onClientLeft as OnClientLeft })
      const { session } = made
      await greet(session)
      const answers = [await leaveDuring(made, session.mail(path('<a@example.com>')))]
      const told = [...filter.told]
      answers.push(await session.rcpt(path('<b@example.net>')))
      answers.push(await session.data())
      session.header('Subject', ' x')
      session.endOfHeaders()
      await session.body(Buffer.from('x'))
      const end = await session.endOfMessage()
      expect(end.edits).toEqual([])
      answers.push(
        end.verdict,
        await session.mail(path('<c@example.com>')),
        await session.rcpt(path('<d@example.net>')),
      )
      answers.push(await session.helo('again'), await session.unknown('VRFY'))
      expect(answers.map(reply)).toEqual(answers.map(() => expected))
      expect(filter.told).toEqual(told)
      expect(made.of('message-settled').map(({ outcome }) => outcome)).toEqual(['client-left'])
    },
  )

  it('accept at data does not settle the message twice', async () => {
    const made = setUp([scripted('slow', { data: never().answer })], { onClientLeft: 'accept' })
    await greet(made.session)
    await made.session.mail(path('<a@example.com>'))
    await made.session.rcpt(path('<b@example.net>'))
    expect(reply(await leaveDuring(made, made.session.data()))).toBe('continue')
    expect(made.of('message-settled').map(({ outcome }) => outcome)).toEqual(['client-left'])
  })
})

describe('nobody is looked after', () => {
  const cases: [string, Partial<typeof CLIENT | { port: 0 }>, [string, string][]][] = [
    ['whose port the MTA does not know', { port: 0 }, [['daemon_port', '25']]],
    ['of an MTA that does not say where it listens', {}, []],
  ]
  it.each(cases)('%s', async (_, client, macros) => {
    const made = setUp([scripted('slow', { helo: never().answer })])
    made.session.macros.set('connect', new Map([['j', 'mx.example'], ...macros]))
    await made.session.connect({ ...CLIENT, ...client })
    void made.session.helo('client.example')
    made.source.leave()
    await made.clock.advance(5_000)
    expect(made.source.looks).toBe(0)
    expect(made.of('client-left')).toEqual([])
  })

  it('whose answers come at once', async () => {
    const made = setUp([
      scripted('quick'),
      scripted('soon', { rcpt: async () => CONTINUE, message: async () => CONTINUE }),
    ])
    await greet(made.session)
    for (let n = 0; n < 20; n++) await deliver(made.session)
    await made.clock.advance(5_000)
    expect(made.source.looks).toBe(0)
  })
})
