/**
 * The order of commands, without sockets: sessions with a model of libmilter at the other end of a channel. What a
 * session sends in any conversation that the chain may lead must be something libmilter answers, whatever the milter
 * negotiated and answered, and however its replies are cut on their way.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Channel, type Transport } from '../../../src/bridge/milter/channel.ts'
import { Keeper } from '../../../src/bridge/milter/health/keeper.ts'
import { MacroChoice } from '../../../src/bridge/milter/macro-choice.ts'
import { type Milter, SocketSession } from '../../../src/bridge/milter/socket-session.ts'
import { Terms } from '../../../src/bridge/milter/terms.ts'
import { acceptAnswer, encodeCommand, offerToMilter, PacketWriter } from '../../../src/bridge/wire/index.ts'
import type { Path } from '../../../src/host/events.ts'
import type { FilterContext, MessageAnswer } from '../../../src/host/filter.ts'
import { MacroStore } from '../../../src/host/macros.ts'
import { memoryBody } from '../../../src/host/message/body.ts'
import { silent } from '../../../src/host/observe/logger.ts'
import { ResultStore } from '../../../src/host/results.ts'
import type { Verdict } from '../../../src/host/verdict.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { cstrings, frame, uint32 } from '../../interop/harness/frames.ts'
import { Libmilter } from './libmilter.ts'
import { EVERYTHING, readable } from './play.ts'

/** How many bytes each piece of the replies has, in turn. */
type Cuts = readonly number[]

class Wire implements Transport {
  readonly idle = true
  readonly #peer: Libmilter
  readonly #cuts: Cuts
  readonly #writes: string[]
  channel: Channel | null = null
  #at = 0

  constructor(peer: Libmilter, cuts: Cuts, writes: string[]) {
    this.#peer = peer
    this.#cuts = cuts
    this.#writes = writes
  }

  write(bytes: Buffer): boolean {
    const before = this.#peer.letters.length
    this.#bring(this.#peer.hear(bytes))
    this.#writes.push(this.#peer.letters.slice(before))
    return true
  }

  pause(): void {}
  resume(): void {}
  end(bytes: Buffer): void {
    this.#peer.hear(bytes)
  }
  destroy(): void {}

  /** Cut as told, each piece in its own turn and in a buffer that is used again. */
  #bring(replies: Buffer): void {
    let rest = replies
    while (rest.length > 0) {
      const size = this.#cuts.length === 0 ? rest.length : this.#cuts[this.#at++ % this.#cuts.length]!
      const piece = Buffer.from(rest.subarray(0, size))
      rest = rest.subarray(size)
      queueMicrotask(() => {
        this.channel?.received(piece)
        piece.fill(0xff)
      })
    }
  }
}

interface Setting {
  readonly version: 2 | 3 | 4 | 6
  readonly protocol: number
  readonly answers: (command: string) => Buffer
  readonly cuts?: Cuts
  /** What the host knows of the milter before the session: what it wants, or nothing. */
  readonly known?: boolean
  readonly pipelining?: boolean
  /** It does not answer what comes out of order, as libmilter. */
  readonly mute?: boolean
}

class Conversation {
  readonly peer: Libmilter
  readonly session: SocketSession
  readonly macros = new MacroStore()
  readonly refused: string[] = []
  /** The letters of each write, over all connections. */
  readonly writes: string[] = []
  readonly signal: AbortSignal = new AbortController().signal

  constructor({ version, protocol, answers, cuts = [], known = true, pipelining = false, mute = false }: Setting) {
    const offer = offerToMilter(6, 0x1ff, 0x1fffff)
    const terms = new Terms(acceptAnswer(offer, { version, actions: 0x1ff, protocol, symbols: [] }))
    this.peer = new Libmilter({ version, protocol: terms.protocol, answer: answers, silent: mute })
    const milter: Milter = {
      name: 'ext',
      choice: new MacroChoice(),
      pipelining,
      editLimit: 100,
      keeper: new Keeper(fakeClock(), () => 0.5),
      places: null,
      needs: () => (known ? terms.needs(new Map()) : null),
      withWriter: use => use(new PacketWriter()),
      meet: async () => {
        const wire = new Wire(this.peer, cuts, this.writes)
        const channel = new Channel('ext', wire, {}, milter.keeper)
        wire.channel = channel
        await channel.send(encodeCommand({ kind: 'negotiate', ...offer }))
        await channel.receive()
        return { channel, terms }
      },
    }
    const context: FilterContext = {
      sessionId: 's',
      log: silent,
      asked: EVERYTHING,
      results: new ResultStore(),
      authentication: { authservId: null, results: () => [], add: () => true },
      newBody: () => {
        const pieces: Buffer[] = []
        return { write: chunk => void pieces.push(Buffer.from(chunk)), finish: () => memoryBody(pieces), discard() {} }
      },
      refused: (stage, detail) => this.refused.push(`${stage}: ${detail}`),
      hold: async () => 'refused',
      unread: null,
      progress: () => {},
    }
    this.session = new SocketSession(milter, context)
    this.macros.set('mail', new Map([['i', 'Q1']]))
  }

  connect(): Promise<Verdict> | Verdict {
    const client = { family: 'inet', address: '192.0.2.1', port: 1, hostname: 'c.example' } as const
    return this.session.connect({ macros: this.macros, client }, this.signal)
  }

  helo(): Promise<Verdict> | Verdict {
    return this.session.helo({ macros: this.macros, name: 'h.example' }, this.signal)
  }

  unknown(): Promise<Verdict> | Verdict {
    return this.session.unknown({ macros: this.macros, command: 'FOO' }, this.signal)
  }

  mail(): Promise<Verdict> | Verdict {
    return this.session.mail({ macros: this.macros, messageId: 'm', sender: PATH }, this.signal)
  }

  rcpt(refused: boolean): Promise<Verdict> | Verdict {
    const why = refused ? { code: '5.1.1', text: 'User unknown' } : null
    return this.session.rcpt({ macros: this.macros, recipient: PATH, refused: why }, this.signal)
  }

  data(): Promise<Verdict> | Verdict {
    return this.session.data({ macros: this.macros, recipients: [PATH] }, this.signal)
  }

  message(): Promise<MessageAnswer> {
    const message = {
      id: 'm',
      sender: PATH,
      recipients: [PATH],
      headers: [0, 1, 2].map(id => ({ id, name: `X-${id}`, value: ' v' })),
      body: memoryBody([Buffer.from('one\r\n'), Buffer.from('two\r\n')]),
    }
    return this.session.message({ macros: this.macros, message }, this.signal)
  }

  /** A message as the chain tells it: no further than the filter lets it, given up after `steps` of it. The answer to its content. */
  async tellMessage({ recipients, unknowns, steps }: MessagePlan): Promise<MessageAnswer | void> {
    let left = steps
    const given = (): boolean => left-- <= 0
    const stop = (): void => this.session.abort()
    if (given() || (await this.mail()).kind !== 'continue') return stop()
    if (unknowns[0]) await this.unknown()
    let accepted = 0
    for (const refused of recipients) {
      if (given()) return stop()
      const { kind } = await this.rcpt(refused)
      if (kind === 'accept' || kind === 'discard') return stop()
      if (kind === 'continue' && !refused) accepted++
      if (unknowns[1]) await this.unknown()
    }
    if (given() || accepted === 0 || (await this.data()).kind !== 'continue') return stop()
    if (given()) return stop()
    return this.message()
  }
}

interface MessagePlan {
  readonly recipients: readonly boolean[]
  readonly unknowns: readonly [boolean, boolean]
  readonly steps: number
}

const PATH: Path = { raw: '<a@b>', args: [] }

const plan: fc.Arbitrary<MessagePlan> = fc.record({
  recipients: fc.array(fc.boolean(), { maxLength: 3 }),
  unknowns: fc.tuple(fc.boolean(), fc.boolean()),
  steps: fc.integer({ min: 0, max: 12 }),
})

const step = fc.oneof(
  plan.map(message => ({ message })),
  fc.constant({ message: null, what: 'helo' as const }),
  fc.constant({ message: null, what: 'unknown' as const }),
)

/** Answers in turn: mostly CONTINUE, so that conversations get far. */
const replies = fc.array(fc.constantFrom('c', 'c', 'c', 'c', 'c', 'c', 'a', 'r', 't', 'd', 's'), { maxLength: 40 })

const setting = fc.record({
  version: fc.constantFrom(2, 3, 4, 6, 6, 6) as fc.Arbitrary<2 | 3 | 4 | 6>,
  protocol: fc.oneof(fc.integer({ min: 0, max: 0x1fffff }), fc.constantFrom(0, 0x400, 0xff080, 0x200, 0x800)),
  known: fc.boolean(),
  cuts: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 6 }),
})

describe('libmilter answers everything it is sent', () => {
  test('in any conversation, with any flags, versions and answers', async () => {
    await fc.assert(
      fc.asyncProperty(setting, fc.array(step, { maxLength: 6 }), replies, async (chosen, steps, letters) => {
        let turn = 0
        const answers = (command: string): Buffer => {
          const letter = letters[turn++] ?? 'c'
          const skip = letter === 's'
          return frame(skip && (command !== 'B' || (chosen.protocol & 0x400) === 0) ? 'c' : letter)
        }
        const talk = new Conversation({ ...chosen, answers })
        await talk.connect()
        await talk.helo()
        for (const next of steps) {
          if (next.message !== null) await talk.tellMessage(next.message)
          else if (next.what === 'helo') await talk.helo()
          else await talk.unknown()
        }
        talk.session.close()
        expect(talk.peer.unanswered).toEqual([])
      }),
      { numRuns: 1500 },
    )
  })

  test('with no content after an unknown command that follows the last recipient', async () => {
    const talk = new Conversation({ version: 6, protocol: 0x200, answers: () => frame('c') })
    await talk.connect()
    await talk.tellMessage({ recipients: [false], unknowns: [true, true], steps: 99 })
    expect(talk.peer.letters).toBe('OCDMUDRLLLDNBBDE')
    expect(talk.peer.unanswered).toEqual([])
  })

  test('with no DATA and no content when it was told no recipient', async () => {
    const talk = new Conversation({ version: 6, protocol: 0, answers: () => frame('c') })
    await talk.mail()
    await talk.data()
    talk.session.abort()
    expect(talk.peer.letters).toBe('ODMA')
  })

  test('even when the host goes on after the milter has accepted the message', async () => {
    const talk = new Conversation({ version: 6, protocol: 0, answers: command => frame(command === 'R' ? 'a' : 'c') })
    await talk.mail()
    await talk.rcpt(false)
    await talk.rcpt(false)
    await talk.data()
    expect(await talk.message()).toEqual({ verdict: { kind: 'continue' }, edits: [] })
    expect(talk.peer.unanswered).toEqual([])
  })
})

describe('a milter that is pipelined', () => {
  /** What each place of a message is answered, whatever was sent before: C, H, M, R, T, three header fields, N, two pieces, E. */
  const byPlace = (letters: readonly string[], protocol: number) => {
    let counts = new Map<string, number>()
    return {
      /** A message begins: a milter that does not want MAIL is not told so. */
      begin() {
        counts = new Map()
      },
      /** U changes nothing: in a message it is no reason to meet a milter anew. */
      answer(command: string): Buffer {
        if (command === 'U') return frame('c')
        const nth = counts.get(command) ?? 0
        counts.set(command, nth + 1)
        const letter = letters['CHMRTLLLNBBE'.indexOf(command) + nth] ?? 'c'
        return frame(letter === 's' && (command !== 'B' || (protocol & 0x400) === 0) ? 'c' : letter)
      },
    }
  }

  test('decides what it decides one packet at a time, whatever it answers and where', async () => {
    await fc.assert(
      fc.asyncProperty(
        setting,
        fc.array(plan, { maxLength: 3 }),
        replies,
        fc.boolean(),
        async (chosen, plans, letters, mute) => {
          const run = async (pipelining: boolean): Promise<unknown[]> => {
            const places = byPlace(letters, chosen.protocol)
            const talk = new Conversation({ ...chosen, answers: places.answer, pipelining, mute: pipelining && mute })
            const said: unknown[] = [await talk.connect(), await talk.helo()]
            for (const message of plans) {
              places.begin()
              said.push(await talk.tellMessage(message))
            }
            talk.session.close()
            return said
          }
          expect(await run(true)).toEqual(await run(false))
        },
      ),
      { numRuns: 1500 },
    )
  })

  test('is sent the content in one write, and the end when it has answered', async () => {
    const talk = new Conversation({ version: 6, protocol: 0, answers: () => frame('c'), pipelining: true })
    await talk.mail()
    await talk.rcpt(false)
    await talk.data()
    expect((await talk.message()).verdict).toEqual({ kind: 'continue' })
    expect(talk.writes).toEqual(['O', 'DM', 'DR', 'DT', 'LLLDNBB', 'DE'])
    expect(talk.peer.unanswered).toEqual([])
  })

  test.each([true, false])(
    'and speaks in the middle is told nothing of the end, and met anew (mute: %s)',
    async mute => {
      const answers = (command: string): Buffer => frame(command === 'L' ? 'r' : 'c')
      const talk = new Conversation({ version: 6, protocol: 0, answers, pipelining: true, mute })
      const whole: MessagePlan = { recipients: [false], unknowns: [false, false], steps: 99 }
      expect((await talk.tellMessage(whole))?.verdict).toEqual({ kind: 'reject', reply: null })
      expect((await talk.tellMessage(whole))?.verdict).toEqual({ kind: 'reject', reply: null })
      expect(talk.peer.letters).toBe('ODMDRDTLLLDNBBQODMDRDTLLLDNBBQ')
    },
  )

  test.each([true, false])('and speaks before a body it does not answer is met anew (mute: %s)', async mute => {
    const answers = (command: string): Buffer => frame(command === 'N' ? 'a' : 'c')
    const talk = new Conversation({ version: 6, protocol: 0x80000, answers, pipelining: true, mute })
    const whole: MessagePlan = { recipients: [false], unknowns: [false, false], steps: 99 }
    expect((await talk.tellMessage(whole))?.verdict).toEqual({ kind: 'accept' })
    expect((await talk.tellMessage(whole))?.verdict).toEqual({ kind: 'accept' })
    expect(talk.peer.letters).toBe('ODMDRDTLLLDNBBQODMDRDTLLLDNBBQ')
  })

  test('and answers once too often is not believed', async () => {
    const answers = (command: string): Buffer => Buffer.concat([frame('c'), frame(command === 'N' ? 'c' : 'p')])
    const talk = new Conversation({ version: 6, protocol: 0, answers, pipelining: true })
    await talk.mail()
    await talk.rcpt(false)
    await talk.data()
    await expect(talk.message()).rejects.toMatchObject({ code: 'MILTER_PROTOCOL' })
  })
})

describe('recipients the MTA had refused', () => {
  test('are told to a milter that wants them, and its answer is not used', async () => {
    const talk = new Conversation({
      version: 6,
      protocol: 0x800,
      answers: command => frame(command === 'R' ? 'r' : 'c'),
    })
    await talk.mail()
    expect(await talk.rcpt(true)).toEqual({ kind: 'continue' })
    expect(talk.peer.letters).toBe('ODMDR')
  })

  test('are not told to one that does not', async () => {
    const talk = new Conversation({ version: 6, protocol: 0, known: false, answers: () => frame('c') })
    await talk.mail()
    expect(await talk.rcpt(true)).toEqual({ kind: 'continue' })
    expect(talk.peer.letters).toBe('ODM')
  })
})

test('however the replies are cut, the answer to a message is the same', async () => {
  const said = Buffer.concat([
    frame('p'),
    frame('h', cstrings('X-A', 'one')),
    frame('b', 'new body\n'),
    frame('i', Buffer.concat([uint32(1), cstrings('X-B', 'two')])),
    frame('b', 'goes on\r\n'),
    frame('m', Buffer.concat([uint32(2), cstrings('X-C', '')])),
    frame('+', cstrings('<x@y>')),
    frame('q', cstrings('held')),
    frame('c'),
  ])
  const answerWith = async (cuts: Cuts): Promise<unknown> => {
    const answers = (command: string): Buffer => (command === 'E' ? said : Buffer.concat([frame('p'), frame('c')]))
    const talk = new Conversation({ version: 6, protocol: 0x100000, answers, cuts })
    await talk.connect()
    await talk.helo()
    await talk.mail()
    await talk.rcpt(false)
    await talk.data()
    const { verdict, edits } = await talk.message()
    return [verdict, readable(edits), talk.refused]
  }
  const whole = await answerWith([])
  expect(whole).toMatchObject([{ kind: 'continue' }, { length: 6 }, []])
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }), async cuts => {
      expect(await answerWith(cuts)).toEqual(whole)
    }),
    { numRuns: 300 },
  )
})
