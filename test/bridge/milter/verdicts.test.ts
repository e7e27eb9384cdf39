import { describe, expect, test } from 'vitest'
import { ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL, type Verdict } from '../../../src/host/verdict.ts'
import { type RawMilter, type RawMilterScript, rawMilter, type Step } from '../../interop/harness/index.ts'
import { codeOf, type Play, type Played, playAt } from './play.ts'

const attach = async (script: RawMilterScript): Promise<[Play, RawMilter]> => {
  const milter = await rawMilter(script)
  return [playAt(milter.address), milter]
}

const answering = (letter: string, ...steps: Step[]): Promise<[Play, RawMilter]> => attach({ on: { [letter]: steps } })

const final = (played: Played): Verdict | undefined => played.message?.verdict ?? played.data ?? played.rcpt[0]

const CUSTOM: Verdict = { kind: 'reject', reply: { code: 550, enhanced: '5.7.1', lines: ['No thanks'] } }
const LATER: Verdict = { kind: 'tempfail', reply: { code: 451, enhanced: '4.7.1', lines: ['Not now'] } }
const CLOSES: Verdict = { kind: 'tempfail', reply: { code: 421, enhanced: '4.7.0', lines: ['Rig closes'] } }

const answers: [Step, Verdict][] = [
  ['c', CONTINUE],
  ['a', ACCEPT],
  ['r', REJECT],
  ['t', TEMPFAIL],
  [['y', '550 5.7.1 No thanks'], CUSTOM],
  [['y', '451 4.7.1 Not now'], LATER],
  [['y', '421 4.7.0 Rig closes'], CLOSES],
]

const stages: [name: string, letter: string, run: (play: Play) => Promise<Verdict | undefined>][] = [
  ['connect', 'C', play => play.connect()],
  ['helo', 'H', async play => [await play.connect(), await play.helo()][1]],
  ['mail', 'M', async play => (await (await play.greet()).send()).mail],
  ['rcpt', 'R', async play => (await (await play.greet()).send()).rcpt[0]],
  ['data', 'T', async play => (await (await play.greet()).send()).data],
  ['header', 'L', async play => (await (await play.greet()).send()).message?.verdict],
  ['end of headers', 'N', async play => (await (await play.greet()).send()).message?.verdict],
  ['body', 'B', async play => (await (await play.greet()).send()).message?.verdict],
  ['end of message', 'E', async play => (await (await play.greet()).send()).message?.verdict],
  ['unknown', 'U', async play => (await play.greet()).unknown()],
]

describe.each(stages)('at %s', (name, letter, run) => {
  test.each(answers)('the answer %j is the verdict', async (step, verdict) => {
    const [play] = await answering(letter, step)
    expect(await run(play)).toEqual(verdict)
    expect(play.refused).toEqual([])
  })

  test('SHUTDOWN becomes a 421 in words, for Postfix loses mail over SHUTDOWN', async () => {
    const [play] = await answering(letter, '4')
    expect(await run(play)).toMatchObject({ kind: 'tempfail', reply: { code: 421, enhanced: '4.7.0' } })
  })

  test('CONN_FAIL is a failure of the milter', async () => {
    const [play] = await answering(letter, 'f')
    expect(await codeOf(run(play))).toBe('MILTER_PROTOCOL')
  })

  test('DISCARD drops a message where there is one, and is refused elsewhere', async () => {
    const [play] = await answering(letter, 'd')
    const inMessage = !['connect', 'helo', 'unknown'].includes(name)
    expect(await run(play)).toEqual(inMessage ? DISCARD : CONTINUE)
    expect(play.refused.map(([stage]) => stage)).toEqual(inMessage ? [] : [name])
  })

  test('PROGRESS only makes us wait on', async () => {
    const [play] = await answering(letter, 'p', ['progress', 3, 0.01], ['y', '550 5.7.1 No thanks'])
    expect(await run(play)).toEqual(CUSTOM)
  })

  test('PROGRESS with data is a failure', async () => {
    const [play] = await answering(letter, ['packet', 'p', 'x'], 'c')
    expect(await codeOf(run(play))).toBe('MILTER_PROTOCOL')
  })

  test('an edit before the end of the message is a failure', async () => {
    const [play] = await answering(letter, ['h', 'X-Early', 'v'], 'c')
    if (letter === 'E') expect(await run(play)).toEqual(CONTINUE)
    else expect(await codeOf(run(play))).toBe('MILTER_PROTOCOL')
  })
})

describe('SKIP', () => {
  const skip = 0x400

  test('at the body ends the body, and the end of the message still comes', async () => {
    const [play, milter] = await attach({ protocol: skip, on: { B: ['s'], E: [['h', 'X-Seen', 'yes'], 'c'] } })
    const played = await (await play.greet()).send({ body: 'line\r\n'.repeat(50_000) })
    expect(played.message).toMatchObject({ verdict: CONTINUE, edits: [{ kind: 'addHeader', name: 'X-Seen' }] })
    expect(milter.letters()).toBe('OCHMRTLNBE')
  })

  test('at the body is a failure when it was not negotiated', async () => {
    const [play] = await attach({ on: { B: ['s'] } })
    expect(await codeOf((await play.greet()).send())).toBe('MILTER_PROTOCOL')
  })

  test.each(['C', 'H', 'M', 'R', 'T', 'L', 'N'])('at %s counts as CONTINUE and is reported', async letter => {
    const [play, milter] = await attach({ protocol: skip, on: { [letter]: ['s'] } })
    expect(final(await (await play.greet()).send())).toEqual(CONTINUE)
    expect(play.refused).toHaveLength(1)
    expect(milter.letters()).toBe('OCHMRTLNBE')
  })

  test('at the end of the message is a failure', async () => {
    const [play] = await attach({ protocol: skip, on: { E: ['s'] } })
    expect(await codeOf((await play.greet()).send())).toBe('MILTER_PROTOCOL')
  })
})

describe('a verdict for the whole connection', () => {
  test.each(['C', 'H'])('accept at %s: QUIT, and silence without a connection until the end', async letter => {
    const [play, milter] = await answering(letter, 'a')
    await play.greet()
    expect(await play.mail()).toEqual(ACCEPT)
    expect(await play.rcpt()).toEqual(ACCEPT)
    expect((await play.message()).verdict).toEqual(ACCEPT)
    await play.helo('again.example')
    await milter.waitFor('QUIT', log => log.some(entry => entry.command === 'Q'))
    expect(milter.letters()).toBe(letter === 'C' ? 'OCQ' : 'OCHQ')
  })

  test('a rejection at connect is repeated at each MAIL of the connection', async () => {
    const [play, milter] = await answering('C', ['y', '550 5.7.1 No thanks'])
    expect(await play.connect()).toEqual(CUSTOM)
    expect(await play.mail()).toEqual(CUSTOM)
    expect(await play.mail()).toEqual(CUSTOM)
    await milter.waitFor('QUIT', log => log.some(entry => entry.command === 'Q'))
    expect(milter.letters()).toBe('OCQ')
  })
})

describe('after a verdict that ends the message the milter is told nothing more of it', () => {
  test.each([
    ['a', 'M', 'OCHMMRTLNBEQ'],
    ['r', 'M', 'OCHMMRTLNBEQ'],
    ['a', 'R', 'OCHMRMRTLNBEQ'],
    ['d', 'R', 'OCHMRAMRTLNBEQ'],
    ['r', 'R', 'OCHMRAMRTLNBEQ'],
    ['t', 'T', 'OCHMRTMRTLNBEQ'],
    ['a', 'L', 'OCHMRTLMRTLNBEQ'],
    ['r', 'N', 'OCHMRTLNMRTLNBEQ'],
    ['d', 'B', 'OCHMRTLNBMRTLNBEQ'],
    ['a', 'E', 'OCHMRTLNBEMRTLNBEQ'],
    ['r', 'E', 'OCHMRTLNBEMRTLNBEQ'],
  ])('%s at %s, and the next message is whole', async (answer, letter, letters) => {
    const [play, milter] = await attach({
      on: { [letter]: (_packet, { seen }) => (seen === 0 ? [answer] : undefined) },
    })
    await play.greet()
    await play.send()
    play.session.abort()
    expect((await play.send()).message?.verdict).toEqual(CONTINUE)
    play.session.close()
    await milter.waitFor('QUIT', log => log.some(entry => entry.command === 'Q'))
    expect(milter.letters()).toBe(letters)
  })

  test('edits that came with a verdict against the message are dropped, and its new body is given up', async () => {
    const [play] = await answering('E', ['h', 'X-A', 'v'], ['b', 'new'], 'r')
    expect((await (await play.greet()).send()).message).toEqual({ verdict: REJECT, edits: [] })
    expect(play.openBodies).toBe(0)
  })
})

describe('reply texts of a milter', () => {
  test.each<[string, string, Verdict]>([
    ['a second reply hidden in it', '550 5.7.1 a\r\n250 2.0.0 ok', REJECT],
    ['an LF in it', '550 5.7.1 a\nb', REJECT],
    ['a trailing CRLF', '451 4.7.1 a\r\n', TEMPFAIL],
    ['a code that accepts', '250 2.0.0 ok', TEMPFAIL],
    ['a code 354', '354 go on', TEMPFAIL],
    ['mixed codes', '550-5.7.1 a\r\n551 5.7.1 b', REJECT],
    ['an enhanced code of another class', '550 4.7.1 a', REJECT],
    ['a hundred lines', `${'451-4.7.1 x\r\n'.repeat(99)}451 4.7.1 x`, TEMPFAIL],
    ['a line of 10 kB', `550 5.7.1 ${'x'.repeat(10_000)}`, REJECT],
    ['nothing at all', '', TEMPFAIL],
    ['a code alone', '550', REJECT],
  ])('with %s keep their class and lose their words', async (_what, text, verdict) => {
    const [play] = await answering('M', ['y', text])
    expect(await (await play.greet()).mail()).toEqual(verdict)
    expect(play.refused).toEqual([['mail', expect.stringContaining('SMTP reply')]])
  })

  test.each<[string, string, string[]]>([
    ['a doubled %', '550 5.7.1 100%% spam', ['100% spam']],
    ['a lone %', '550 5.7.1 100% spam %s', ['100% spam %s']],
    ['8-bit bytes', '550 5.7.1 caf\xc3\xa9', ['caf\xc3\xa9']],
    ['several lines', '550-5.7.1 one\r\n550 5.7.1 two', ['one', 'two']],
  ])('with %s pass', async (_what, text, lines) => {
    const [play] = await answering('M', ['y', text])
    expect(await (await play.greet()).mail()).toEqual({
      kind: 'reject',
      reply: { code: 550, enhanced: '5.7.1', lines },
    })
    expect(play.refused).toEqual([])
  })

  test('with a byte behind the final NUL break the protocol', async () => {
    const [play] = await answering('M', ['packet', 'y', '550 5.7.1 a\0' + '250 ok\0'])
    expect(await codeOf((await play.greet()).mail())).toBe('MILTER_PROTOCOL')
  })
})
