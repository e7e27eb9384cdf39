import { describe, expect, it } from 'vitest'
import type { Command } from '../../../src/bridge/wire/index.ts'
import { ACCEPT, DISCARD, REJECT, rejectWith, TEMPFAIL } from '../../../src/host/verdict.ts'
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
import { wanting } from './support/recorder.ts'

const toldOfMessage = [
  'mail <a@example.org> SIZE=100',
  'rcpt <b@example.net>',
  'data',
  'header Subject: hi',
  'eoh',
  'body',
  'end',
]

describe('a conversation in order', () => {
  it('tells the session every event and answers each that the MTA waits for', async () => {
    const { connect, source } = await place()
    const mta = await connect()
    mta.send(offer, ...hello, ...message, { kind: 'quit' })
    await mta.closed
    expect(mta.letters).toBe('Occcccc')
    expect(source.told).toEqual([
      'connect inet 192.0.2.1 4711 client.example',
      'helo client.example',
      ...toldOfMessage,
      'close client-left',
    ])
    expect(Buffer.concat(source.session.bodies).toString()).toBe('text\r\n')
  })

  it('takes any number of messages on one connection, with and without ABORT between them', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(...message, { kind: 'abort' }, ...message, ...message, { kind: 'abort' }, { kind: 'abort' })
    await mta.until(3 + 12)
    expect(source.told.slice(2, -2).filter(line => line !== 'abort mta-abort')).toEqual([
      ...toldOfMessage,
      ...toldOfMessage,
      ...toldOfMessage,
    ])
  })

  it.each([1, 2, 3, 4, 5, 6])('cancels the message at RSET after %i commands and takes the next one', async count => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(...message.slice(0, count), { kind: 'abort' }, ...message)
    await mta.until(3 + Math.min(count, 3) + 4)
    expect(source.told.slice(2 + count)).toEqual(['abort mta-abort', ...toldOfMessage])
    expect(mta.letters).toMatch(/^Oc+$/)
  })

  it('takes HELO twice, before and after mail', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send({ kind: 'helo', name: 'again' }, ...message, { kind: 'helo', name: 'third' })
    await mta.until(3 + 1 + 4 + 1)
    expect(source.told.filter(line => line.startsWith('helo'))).toEqual([
      'helo client.example',
      'helo again',
      'helo third',
    ])
  })

  it('passes unknown commands on, wherever they stand in the envelope', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    const unknown: Command = { kind: 'unknown', line: 'FOO bar' }
    mta.send(unknown, mailFrom, unknown, rcptTo, unknown, ...message.slice(2), unknown)
    await mta.until(3 + 8)
    expect(source.told.slice(2)).toEqual([
      'unknown FOO bar',
      toldOfMessage[0],
      'unknown FOO bar',
      toldOfMessage[1],
      'unknown FOO bar',
      ...toldOfMessage.slice(2),
      'unknown FOO bar',
    ])
  })

  it('takes content after an unknown command from an MTA that has no DATA', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet({ ...offer, version: 3, protocol: 0x17f })
    mta.send(mailFrom, rcptTo, { kind: 'unknown', line: 'FOO' }, ...content, endOfMessage)
    await mta.until(3 + 7)
    expect(source.told.slice(-4)).toEqual(['header Subject:  hi', 'eoh', 'body', 'end'])
  })

  it('takes a payload of the end of message as the last piece of the body', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(...message.slice(0, -1), { kind: 'eom', chunk: Buffer.from('more\r\n') })
    await mta.until(3 + 4)
    expect(Buffer.concat(source.session.bodies).toString()).toBe('text\r\nmore\r\n')
  })

  it('begins a new session after QUIT_NC on the terms that were agreed', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(...message, { kind: 'quit-nc' }, ...hello, ...message, { kind: 'quit' })
    await mta.closed
    expect(mta.letters).toBe('Occccccccccccc'.slice(0, 1 + 2 * 6))
    expect(source.sessions.map(session => session.told.length)).toEqual([10, 10])
    expect(source.sessions[0]!.told.at(-1)).toBe('close client-left')
    expect(source.sessions[1]!.facts).toEqual(source.sessions[0]!.facts)
  })

  it('refuses mail after QUIT_NC if the filters now want more than was agreed', async () => {
    const { connect, source } = await place()
    source.needs = wanting(['mail'])
    const mta = await connect()
    await mta.ask(offer)
    mta.send({ kind: 'quit-nc' })
    source.needs = wanting(['mail', 'body'])
    mta.send(...hello)
    expect(await mta.ask(mailFrom)).toMatchObject({ kind: 'replycode', text: expect.stringMatching(/^451 4\.3\.2 /) })
    expect(source.sessions[1]!.closed?.kind).toBe('mta-abort')
  })

  it('tells filters of a connection even if the MTA sends no CONNECT', async () => {
    const { connect, source } = await place()
    const mta = await connect()
    await mta.ask(offer)
    mta.send(mailFrom)
    await mta.until(2)
    expect(source.told).toEqual(['connect unknown  0 unknown', toldOfMessage[0]])
  })

  it('ignores a second negotiation without an answer', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(offer, mailFrom)
    await mta.until(4)
    expect(mta.letters).toBe('Occc')
    expect(source.sessions).toHaveLength(1)
  })
})

describe('verdicts', () => {
  const reply = { kind: 'replycode', text: '550-5.7.1 100%% no\r\n550 5.7.1 sorry' }
  const rejection = rejectWith(550, '5.7.1', '100% no', 'sorry')

  it('are spoken with their words, or with the words of the MTA', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    for (const [verdict, expected] of [
      [REJECT, { kind: 'reject' }],
      [TEMPFAIL, { kind: 'tempfail' }],
      [rejection, reply],
      [DISCARD, { kind: 'discard' }],
      [{ kind: 'quarantine', reason: 'q' } as const, { kind: 'continue' }],
      [ACCEPT, { kind: 'continue' }],
    ] as const) {
      source.answers.mail = () => Promise.resolve(verdict)
      expect(await mta.ask(mailFrom)).toEqual(expected)
    }
  })

  it('never discard or accept before MAIL', async () => {
    const { connect, source } = await place()
    source.answers.connect = () => DISCARD
    source.answers.helo = () => ACCEPT
    const mta = await (await connect()).greet()
    expect(mta.letters).toBe('Occ')
  })

  it('spare the content when DATA is answered with accept', async () => {
    const { connect, source } = await place()
    source.answers.data = () => ACCEPT
    const mta = await (await connect()).greet()
    mta.send(mailFrom, rcptTo, dataCommand, mailFrom)
    await mta.until(3 + 4)
    expect(mta.letters).toBe('Occccac')
    expect(source.told.slice(-2)).toEqual(['data', toldOfMessage[0]])
  })

  it('of a recipient concern that recipient alone', async () => {
    const { connect, source } = await place()
    source.answers.rcpt = ({ raw }) => (raw === '<bad@example.net>' ? REJECT : { kind: 'continue' })
    const mta = await (await connect()).greet()
    mta.send(mailFrom, { ...(rcptTo as object), path: '<bad@example.net>' } as Command, ...message.slice(1))
    await mta.until(3 + 5)
    expect(mta.letters).toBe('Occcrccc')
    expect(source.told.at(-1)).toBe('end')
  })

  it('that refuse a message are repeated if the MTA goes on with it all the same', async () => {
    const { connect, source } = await place()
    source.answers.mail = () => rejection
    const mta = await (await connect()).greet()
    mta.send(...message)
    await mta.until(3 + 4)
    expect(mta.replies.slice(3)).toEqual([reply, reply, reply, reply])
    expect(source.told.slice(2)).toEqual([toldOfMessage[0]])
    source.answers.mail = () => ({ kind: 'continue' })
    mta.send({ kind: 'abort' }, ...message)
    await mta.until(3 + 8)
    expect(mta.letters.slice(7)).toBe('cccc')
  })

  it('at the end of one message are never those of the next', async () => {
    const { connect, source } = await place()
    source.answers.endOfMessage = () => ({ verdict: REJECT, edits: [] })
    const mta = await (await connect()).greet()
    expect(await mta.ask(...message.slice(0, 1))).toEqual({ kind: 'continue' })
    mta.send(...message.slice(1))
    await mta.until(3 + 4)
    source.answers.endOfMessage = () => ({ verdict: { kind: 'continue' }, edits: [] })
    mta.send(...message)
    await mta.until(3 + 8)
    expect(mta.letters).toBe('Occcccrcccc')
  })
})

describe('commands out of order', () => {
  it('content without an envelope is answered and concerns nobody', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    expect(await mta.ask(...content, endOfMessage)).toEqual({ kind: 'continue' })
    expect(source.told).toHaveLength(2)
  })

  it.each([
    ['DATA without a recipient', [mailFrom, dataCommand, ...content, endOfMessage], ['mail <a@example.org> SIZE=100']],
    ['headers without a recipient', [mailFrom, ...content, endOfMessage], ['mail <a@example.org> SIZE=100']],
    [
      'a recipient after the headers',
      [...message.slice(0, 4), rcptTo, ...content, endOfMessage],
      toldOfMessage.slice(0, 4),
    ],
  ])('%s ends the message, and it is not accepted', async (_, commands, told) => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(...commands)
    await eventually(() => mta.replies.at(-1)?.kind === 'replycode')
    expect(mta.replies.at(-1)).toMatchObject({ kind: 'replycode', text: expect.stringMatching(/^451 4\.3\.0 /) })
    expect(source.told.slice(2)).toEqual([...told, 'abort mta-abort'])
    mta.send(...message)
    await eventually(() => source.told.at(-1) === 'end')
  })

  it('recipients without a sender are put off', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(...message)
    await mta.until(7)
    expect(await mta.ask(rcptTo)).toMatchObject({ kind: 'replycode' })
    expect(await mta.ask(dataCommand)).toMatchObject({ kind: 'replycode' })
    expect(source.told).toHaveLength(9)
  })

  it('a second end of message is answered and runs nothing', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(...message, endOfMessage)
    await mta.until(8)
    expect(source.told.filter(line => line === 'end')).toHaveLength(1)
  })

  it('a second CONNECT is answered and changes nothing', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    expect(await mta.ask(hello[0]!)).toEqual({ kind: 'continue' })
    expect(source.told).toHaveLength(2)
  })

  it('MAIL and HELO within a message cancel it first', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(mailFrom, rcptTo, mailFrom, rcptTo, hello[1]!)
    await mta.until(3 + 5)
    expect(source.told.filter(line => line.startsWith('abort'))).toHaveLength(2)
    expect(source.told.slice(4, 6)).toEqual(['abort mta-abort', toldOfMessage[0]])
  })
})

describe('macros', () => {
  it('are kept by stage, empty sets leave what was told', async () => {
    const { connect, source } = await place()
    const mta = await connect()
    mta.send(offer, macros('C', { j: 'mx', '{daemon_name}': 'd' }), macros('C', {}), hello[0]!)
    mta.send(macros('L', { i: 'never' }), macros('U', { j: 'never' }), macros('Z', { j: 'never' }), hello[1]!)
    await mta.until(3)
    expect(source.session.macros.get('{j}')).toBe('mx')
    expect(source.session.macros.get('daemon_name')).toBe('d')
    expect(source.session.macros.get('i')).toBeUndefined()
  })

  it('of a refused recipient that never comes are forgotten', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(mailFrom, macros('R', { rcpt_addr: 'good' }), rcptTo, macros('R', { rcpt_addr: 'refused' }), dataCommand)
    await mta.until(6)
    expect(source.session.macros.get('rcpt_addr')).toBe('good')
  })

  it('i is the host’s own, and stable, until the MTA tells its queue id', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(macros('M', { mail_addr: 'a' }), mailFrom, macros('R', { rcpt_addr: 'b' }), rcptTo)
    mta.send(macros('R', { i: 'Q1', rcpt_addr: 'b' }), rcptTo, macros('T', { i: 'Q1' }), dataCommand, ...content)
    mta.send(macros('E', { i: 'Q1' }), endOfMessage, { kind: 'abort' })
    mta.send(macros('M', { mail_addr: 'a' }), mailFrom)
    await mta.until(3 + 6)
    expect(source.session.queueIds).toEqual(['s1.1', 's1.1', 'Q1', 'Q1', 's1.2'])
  })

  it('of one message are not seen in the next', async () => {
    const { connect, source } = await place()
    const mta = await (await connect()).greet()
    mta.send(macros('M', { i: 'Q1', auth_authen: 'joe' }), ...message, macros('M', {}), mailFrom)
    await mta.until(3 + 5)
    expect(source.session.queueIds).toEqual(['Q1', 'Q1', 'Q1', 's1.2'])
    expect(source.session.macros.get('auth_authen')).toBeUndefined()
  })

  it('say that the MTA had refused a recipient, if that was asked for', async () => {
    const { connect, source } = await place()
    source.needs = { ...source.needs, refusedRecipients: true }
    const mta = await (await connect()).greet()
    mta.send(mailFrom, macros('R', { rcpt_mailer: 'error', rcpt_host: '5.1.1', rcpt_addr: 'User unknown' }), rcptTo)
    await mta.until(5)
    expect(source.session.refused).toEqual({ code: '5.1.1', text: 'User unknown' })
  })

  it('tell which MTA it is', async () => {
    const { connect, source } = await place()
    const mta = await connect()
    mta.send(offer, macros('C', { v: 'Postfix 3.7.11' }), hello[0]!)
    await mta.until(2)
    expect(source.session.facts).toMatchObject({ kind: 'postfix', version: '3.7.11' })
    const other = await connect()
    other.send(offer, macros('C', { v: '8.17.1.9' }), hello[0]!)
    await other.until(2)
    expect(source.session.facts).toMatchObject({ kind: 'sendmail', version: '8.17.1.9' })
  })
})

describe('no session', () => {
  it('over the limit the MTA is put off at MAIL, in the protocol', async () => {
    const { connect, source } = await place()
    source.full = true
    const mta = await connect()
    mta.send(offer, ...hello, mailFrom)
    await eventually(() => mta.replies.at(-1)?.kind === 'replycode')
    expect(mta.replies.at(-1)).toMatchObject({ text: expect.stringMatching(/^451 4\.3\.2 /) })
    mta.send(...message.slice(1))
    mta.send(...content, endOfMessage)
    await mta.until(5)
    expect(mta.letters).toBe('Oyyyy')
    expect(source.sessions).toHaveLength(0)
  })
})
