import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Command, encodeCommand } from '../../../src/bridge/wire/index.ts'
import type { Body } from '../../../src/host/message/snapshot.ts'
import { CONTINUE, REJECT, type Verdict } from '../../../src/host/verdict.ts'
import {
  content,
  dataCommand,
  endOfMessage,
  eventually,
  hello,
  macros,
  mailFrom,
  message,
  offer,
  place,
  rcptTo,
} from './support/mta.ts'
import { kept, wanting } from './support/recorder.ts'

/** An answer that a test gives when it likes. */
function held<T>(): { promise: Promise<T>; give(value: T): void } {
  let give: (value: T) => void = () => {}
  const promise = new Promise<T>(resolve => {
    give = resolve
  })
  return { promise, give: value => give(value) }
}

const spooled = (size: number): Body => ({
  size,
  memory: null,
  async *chunks() {
    for (let at = 0; at < size; at += 65_535) yield Buffer.alloc(Math.min(65_535, size - at), 'x')
  },
})

describe('a client that leaves', () => {
  const stages: [string, Command[], string][] = [
    ['connect', [hello[0]!], 'connect'],
    ['helo', hello, 'helo'],
    ['mail', [...hello, mailFrom], 'mail'],
    ['rcpt', [...hello, mailFrom, rcptTo], 'rcpt'],
    ['data', [...hello, mailFrom, rcptTo, dataCommand], 'data'],
    ['the end of the message', [...hello, ...message], 'endOfMessage'],
  ]

  it.each(stages)(
    'is noticed at once while a filter works at %s, with FIN and with RST',
    async (_, commands, stage) => {
      for (const how of ['FIN', 'RST']) {
        const { connect, source } = await place()
        source.answers = { [stage]: () => new Promise(() => {}) }
        const mta = await connect()
        mta.send(offer, ...commands)
        await eventually(() => source.told.length > 0 && isAt(source.told.at(-1)!, stage))
        if (how === 'FIN') mta.socket.end()
        else mta.socket.resetAndDestroy()
        await eventually(() => source.session.closed !== null)
        expect(source.session.closed!.kind).toBe('mta-abort')
      }
    },
  )

  it('is noticed between commands and in the middle of a packet', async () => {
    const { connect, source, log } = await place()
    const mta = await (await connect()).greet()
    mta.raw(Buffer.from('000000ff4d3c61', 'hex'))
    mta.socket.end()
    await eventually(() => source.session.closed !== null)
    expect(source.told.filter(line => line.startsWith('close'))).toEqual(['close mta-abort'])
    expect(log.lines).toEqual([])
  })

  it('gets no answer that comes too late', async () => {
    const { connect, source, listener } = await place()
    const answer = held<Verdict>()
    source.answers.mail = () => answer.promise
    const mta = await (await connect()).greet()
    mta.send(mailFrom)
    await eventually(() => source.told.length === 3)
    mta.socket.destroy()
    await eventually(() => listener.connections === 0)
    answer.give(REJECT)
    await pause(5)
    expect(source.told.at(-1)).toBe('close mta-abort')
  })

  const isAt = (line: string, stage: string): boolean => line.startsWith(stage === 'endOfMessage' ? 'end' : stage)
})

describe('one command at a time', () => {
  it('what comes early waits for the answer before it', async () => {
    const { connect, source } = await place()
    const answer = held<Verdict>()
    source.answers.mail = () => answer.promise
    const mta = await (await connect()).greet()
    mta.send(...message)
    await eventually(() => source.told.length === 3)
    await pause(5)
    expect(source.told).toHaveLength(3)
    answer.give(CONTINUE)
    await mta.until(3 + 4)
    expect(source.told.at(-1)).toBe('end')
  })

  it('an MTA that sends a body faster than it can be stored is held back', async () => {
    const { connect, source } = await place()
    let storing = held<void>()
    let wait = true
    source.answers.body = () => (wait ? storing.promise : undefined)
    const mta = await (await connect()).greet()
    mta.send(mailFrom, rcptTo, dataCommand, { kind: 'eoh' })
    const chunk = encodeCommand({ kind: 'body', chunk: Buffer.alloc(65_000, 'x') })
    const count = 600
    let sent = 0
    const pump = (): void => {
      while (sent < count && mta.socket.write(chunk)) sent++
      if (sent < count) mta.socket.once('drain', pump)
      else mta.send(endOfMessage)
    }
    pump()
    await eventually(() => source.session.bodies.length === 1)
    await pause(200)
    expect(source.session.bodies).toHaveLength(1)
    expect(sent).toBeLessThan(count)
    wait = false
    storing.give()
    storing = held()
    await mta.until(3 + 4)
    expect(Buffer.concat(source.session.bodies).length).toBeGreaterThanOrEqual(count * 65_000)
  })

  it('answers every header, end of headers and body to an MTA that cannot do without', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet({ ...offer, version: 2, protocol: 0x7f })
    mta.send(mailFrom, rcptTo, ...content, endOfMessage)
    await mta.until(3 + 6)
    expect(mta.letters).toBe('Occcccccc')
    expect(source.told).toContain('header Subject:  hi')
  })

  it('answers nothing that the MTA does not wait for', async () => {
    const { connect, source } = await place()
    source.needs = wanting(['header', 'body'], { answers: new Set() })
    const mta = await connect()
    mta.send(offer, ...hello, ...message, { kind: 'unknown', line: 'X' }, mailFrom)
    await mta.until(1 + 5)
    expect(mta.letters).toBe('Occccc')
    expect(source.told.slice(0, 2)).toEqual(['connect inet 192.0.2.1 4711 client.example', 'helo client.example'])
  })
})

describe('faults within', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('oops')
      },
    ],
    ['rejects', () => Promise.reject(new Error('oops'))],
    [
      'gives a reply that cannot be sent',
      () => ({ kind: 'reject', reply: { code: 250, enhanced: null, lines: ['ok'] } }) as const,
    ],
  ])('a session that %s costs a temporary failure, once, and a line in the log', async (_, mail) => {
    const { connect, source, log } = await place()
    source.answers.mail = mail
    const mta = await (await connect()).greet()
    const reply = await mta.ask(mailFrom)
    expect(reply).toMatchObject({ kind: 'replycode', text: expect.stringMatching(/^451 4\.3\.0 /) })
    expect(log.lines).toHaveLength(1)
    source.answers.mail = () => CONTINUE
    mta.send(...message)
    await mta.until(3 + 1 + 4)
    expect(mta.letters.slice(-4)).toBe('cccc')
  })

  it('a body that cannot be read half way through ends in a temporary failure', async () => {
    const { connect, source, log } = await place()
    const body: Body = {
      size: 1e6,
      memory: null,
      async *chunks() {
        for (let piece = 0; piece < 5; piece++) yield Buffer.alloc(65_535)
        throw new Error('EIO')
      },
    }
    source.answers.endOfMessage = () => ({ verdict: CONTINUE, edits: [{ kind: 'replaceBody', body }] })
    const mta = await (await connect()).greet()
    mta.send(...message)
    await eventually(() => mta.replies.at(-1)?.kind === 'replycode')
    expect(mta.letters).toMatch(/^Occcccb{0,5}y$/)
    expect(log.codes).toEqual(['MTA_INTERNAL'])
  })
})

describe('malformed commands', () => {
  const cut = (letter: string, payload: string): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(payload.length + 1)
    return Buffer.concat([head, Buffer.from(letter + payload, 'latin1')])
  }

  it.each([
    ['a sender without its NUL', [], 'M', '<a@b>'],
    ['a sender that is missing', [], 'M', ''],
    ['a recipient without its NUL', [mailFrom], 'R', '<a@b>'],
  ])('%s is put off, and the next message is fine', async (_, before, letter, payload) => {
    const { connect, log } = await place()
    const mta = await (await connect()).greet()
    mta.send(...before).raw(cut(letter, payload))
    await eventually(() => mta.replies.at(-1)?.kind === 'replycode')
    expect(log.codes).toEqual(['MTA_PROTOCOL'])
    mta.send(...message)
    await eventually(() => mta.letters.endsWith('ycccc'))
  })

  it('a header that is cut is never lost silently: its message is put off at the end', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta
      .send(mailFrom, rcptTo, dataCommand)
      .raw(cut('L', 'Subject\0no end'))
      .send(...content, endOfMessage)
    await mta.until(3 + 4)
    expect(mta.letters.slice(-1)).toBe('y')
    expect(source.told).not.toContain('end')
  })

  it.each([
    ['C', 'host\0Z\0'],
    ['H', 'no end'],
  ])('at connect and helo they are told at MAIL, where it does not stick (%s)', async (letter, payload) => {
    const { connect } = await place()
    const mta = await connect()
    await mta.ask(offer)
    mta.raw(cut(letter, payload))
    await mta.until(2)
    expect(mta.letters).toBe('Oc')
    expect(await mta.ask(mailFrom)).toMatchObject({ kind: 'replycode', text: expect.stringMatching(/^451 /) })
  })

  it('macros that are odd, doubled, many or cut do no harm', async () => {
    const { connect, source } = await place()
    const mta = await connect()
    mta.send(offer)
    mta.raw(cut('D', '')).raw(cut('D', 'Cname\0')).raw(cut('D', 'Cj\0value')).raw(cut('D', 'Cj\0first\0j\0second\0'))
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`name${n}`, 'v']))
    mta.send(hello[0]!, macros('H', many), hello[1]!, macros('M', { big: 'x'.repeat(1_000_000) }), mailFrom)
    await mta.until(4)
    expect(source.session.macros.get('j')).toBe('first')
    expect(source.session.macros.get('name9999')).toBe('v')
    expect(source.session.macros.get('big')).toHaveLength(1_000_000)
  })
})

describe('what does not speak the protocol', () => {
  const tls = Buffer.from('16030100c8010000c403035f', 'hex')
  it.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['TLS', tls],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
    ['a length of 0', Buffer.alloc(8)],
    ['a length of 0xFFFFFFFF', Buffer.from('ffffffff4f', 'hex')],
    ['another command first', encodeCommand(mailFrom)],
    ['macros first', encodeCommand(macros('C', { j: 'x' }))],
    ['a short negotiation', Buffer.from('0000000c4f00000006000001ff001fff', 'hex')],
    ['protocol version 1', encodeCommand({ ...offer, version: 1 })],
  ])('%s is disconnected without a session', async (_, bytes) => {
    const { connect, source, log } = await place()
    const mta = await connect()
    mta.raw(bytes)
    await mta.closed
    expect(source.sessions).toEqual([])
    expect(log.codes).toEqual(['MTA_JUNK'])
    expect(mta.replies).toEqual([])
  })

  it('is logged a few times a minute, then counted', async () => {
    const { connect, clock, log } = await place()
    const scan = async (): Promise<void> => {
      const mta = await connect()
      mta.raw(tls)
      await mta.closed
    }
    for (let n = 0; n < 25; n++) await scan()
    expect(log.lines).toHaveLength(10)
    await clock.advance(60_000)
    await scan()
    expect(log.lines.at(-1)!.fields).toMatchObject({ unreported: 15 })
  })

  it('in a long packet that never ends is cut off, whatever length it announced', async () => {
    const { connect, log } = await place()
    const mta = await connect()
    mta.raw(Buffer.concat([Buffer.from('000f00004f', 'hex'), Buffer.alloc(100_000)]))
    await mta.closed
    expect(log.codes).toEqual(['MTA_JUNK'])
  })

  it('leaves the sessions beside it alone and takes no memory', async () => {
    const { connect, listener } = await place()
    const mta = await (await connect()).greet()
    const before = process.memoryUsage().rss
    const noise = randomBytes(1024 * 1024)
    noise.writeUInt32BE(0xffff_ffff)
    for (let n = 0; n < 50; n++) {
      const scanner = await connect()
      for (let piece = 0; piece < 4; piece++) scanner.raw(noise)
      await scanner.closed
    }
    mta.send(...message)
    await mta.until(3 + 4)
    expect(listener.connections).toBe(1)
    expect(process.memoryUsage().rss - before).toBeLessThan(120 * 1024 * 1024)
  })

  it('after the negotiation is disconnected too, and its session told', async () => {
    const { connect, source, log } = await place()
    for (const bytes of [Buffer.from('ffffffff42', 'hex'), Buffer.from('000000015a', 'hex'), Buffer.alloc(4)]) {
      const mta = await (await connect()).greet()
      mta.raw(bytes)
      await mta.closed
      expect(source.session.closed?.kind).toBe('client-left')
    }
    expect(log.codes).toEqual(['MTA_PROTOCOL', 'MTA_PROTOCOL', 'MTA_PROTOCOL'])
  })
})

describe('deadlines', () => {
  it('5 s for the negotiation', async () => {
    const { connect, clock, log } = await place()
    const mta = await connect()
    mta.raw(Buffer.from('00', 'hex'))
    await pause(10)
    await clock.advance(4_999)
    expect(mta.ended).toBe(false)
    await clock.advance(1)
    await mta.closed
    expect(log.codes).toEqual(['MTA_HANDSHAKE'])
  })

  it('7210 s without a word, counted from the last one', async () => {
    const { connect, clock, log, source } = await place()
    const mta = await (await connect()).greet()
    await clock.advance(7_000_000)
    await mta.ask(mailFrom)
    await clock.advance(7_209_000)
    expect(mta.ended).toBe(false)
    await clock.advance(1_000)
    await mta.closed
    expect(log.codes).toEqual(['MTA_IDLE'])
    expect(source.told.at(-1)).toBe('close client-left')
  })

  it('60 s for an MTA that takes nothing of an answer, whose memory is then free', async () => {
    const { connect, clock, log, source } = await place()
    source.answers.endOfMessage = () => ({
      verdict: CONTINUE,
      edits: [{ kind: 'replaceBody', body: spooled(100 * 1024 * 1024) }],
    })
    const mta = await (await connect()).greet()
    mta.socket.pause()
    const before = process.memoryUsage().arrayBuffers
    mta.send(...message)
    await eventually(() => source.told.at(-1) === 'end')
    await pause(200)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
    await clock.advance(59_000)
    expect(log.codes).toEqual([])
    await clock.advance(61_000)
    await eventually(() => log.codes.length === 1)
    expect(log.codes).toEqual(['MTA_STALLED'])
    expect(source.session.closed?.kind).toBe('client-left')
  })

  it('none for an MTA that takes a large answer slowly', async () => {
    const { connect, source } = await place()
    const size = 20 * 1024 * 1024
    source.answers.endOfMessage = () => ({ verdict: CONTINUE, edits: [{ kind: 'replaceBody', body: spooled(size) }] })
    const mta = await (await connect()).greet()
    mta.send(...message)
    await eventually(() => mta.replies.at(-1)?.kind === 'continue' && mta.replies.length > 100)
    const got = mta.replies.reduce((sum, reply) => sum + (reply.kind === 'replace-body' ? reply.chunk.length : 0), 0)
    expect(got).toBe(size)
  })
})

describe('PROGRESS', () => {
  const as = async (v: string, stage: 'mail' | 'endOfMessage', needs = wanting(['mail', 'body'])) => {
    const here = await place()
    here.source.needs = needs
    const answer = held<never>()
    here.source.answers[stage] = () => answer.promise
    const mta = await here.connect()
    mta.send(offer, macros('C', { v }), ...hello, ...(stage === 'mail' ? [mailFrom] : message))
    await eventually(() => here.source.told.some(line => line.startsWith(stage === 'mail' ? 'mail' : 'end')))
    return { ...here, mta, answer, already: mta.replies.length }
  }

  it.each(['Postfix 3.7.11', '8.17.1.9', ''])('is sent every 5 s at the end of a message (%s)', async v => {
    const { clock, mta, answer } = await as(v, 'endOfMessage')
    await clock.advance(4_999)
    await clock.advance(1)
    await clock.advance(10_000)
    answer.give(kept as never)
    await eventually(() => mta.letters.endsWith('pppc'))
    await clock.advance(60_000)
    await pause(5)
    expect(mta.letters.endsWith('pppc')).toBe(true)
  })

  it('is sent to Postfix after every 10 s at other stages', async () => {
    const { clock, mta, answer } = await as('Postfix 3.7.11', 'mail')
    await clock.advance(25_000)
    answer.give(CONTINUE as never)
    await eventually(() => mta.letters.endsWith('ppc'))
  })

  it('is sent to a less patient Postfix more often, as the source says', async () => {
    const { clock, mta, answer, source, connect } = await as('Postfix 3.7.11', 'mail')
    source.progress = 2_000
    const other = await connect()
    other.send(offer, macros('C', { v: 'Postfix 3.7.11' }), ...hello, mailFrom)
    await eventually(() => source.told.filter(line => line.startsWith('mail')).length === 2)
    await clock.advance(9_000)
    answer.give(CONTINUE as never)
    await eventually(() => other.letters.endsWith('ppppc'))
    expect(mta.letters).not.toContain('p')
  })

  it.each(['8.17.1.9', ''])('is sent to nobody else there (%s)', async v => {
    const { clock, mta, answer } = await as(v, 'mail')
    await clock.advance(60_000)
    answer.give(CONTINUE as never)
    await eventually(() => mta.letters.endsWith('c'))
    expect(mta.letters).not.toContain('p')
  })

  it('is not sent where no answer is awaited', async () => {
    const { connect, source, clock } = await place()
    source.needs = wanting(['mail'])
    source.answers.connect = () => new Promise(() => {})
    const mta = await connect()
    mta.send(offer, macros('C', { v: 'Postfix 3.7.11' }), hello[0]!)
    await eventually(() => source.told.length === 1)
    await clock.advance(60_000)
    await pause(5)
    expect(mta.letters).toBe('O')
  })
})
