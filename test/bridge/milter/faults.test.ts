/**
 * What an external milter can do wrong, each at each stage. That its `onFailure` follows is the chain's test; here: the call
 * fails with a code, at once, with nothing of the milter's edits, the connection is given up, and a fresh session works.
 */
import { describe, expect, test } from 'vitest'
import { CONTINUE } from '../../../src/host/verdict.ts'
import { type RawMilter, type RawMilterScript, rawMilter, type Step, startMilter } from '../../interop/harness/index.ts'
import { codeOf, filterAt, Play, playAt } from './play.ts'

const LETTERS = ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E'] as const

/** The milter misbehaves on its first connection and behaves on later ones. */
const attach = async (
  letter: string,
  steps: Step[],
  script: RawMilterScript = {},
): Promise<[Play, RawMilter, Play]> => {
  const milter = await rawMilter({
    ...script,
    on: { [letter]: (_packet, { connection }) => (connection === 1 ? steps : undefined) },
  })
  const filter = filterAt(milter.address)
  return [new Play(filter), milter, new Play(filter)]
}

const whole = async (play: Play): Promise<void> => {
  const { message } = await (await play.greet()).send()
  expect(message?.verdict).toEqual(CONTINUE)
}

const wrongs: [what: string, steps: Step[], code: string][] = [
  ['closes', [['close']], 'MILTER_CLOSED'],
  ['resets', [['rst']], 'MILTER_CLOSED'],
  ['closes in the middle of a packet', [['raw', '\0\0'], ['close']], 'MILTER_CLOSED'],
  ['sends a length of 0', [['raw', '\0\0\0\0c']], 'MILTER_PROTOCOL'],
  ['sends a length of 0xFFFFFFFF', [['raw', '\xff\xff\xff\xffc']], 'MILTER_PROTOCOL'],
  ['sends a length of 0x7FFFFFFF', [['raw', '\x7f\xff\xff\xffc']], 'MILTER_PROTOCOL'],
  ['announces 10 MB and stalls', [['raw', '\x00\x98\x96\x80h'], ['hang']], 'MILTER_PROTOCOL'],
  ['sends an unknown reply', ['Z'], 'MILTER_PROTOCOL'],
  ['sends a symbol list as a packet', [['packet', 'l', '\0\0\0\0i\0']], 'MILTER_PROTOCOL'],
  ['negotiates again', [['packet', 'O', '\0'.repeat(12)]], 'MILTER_PROTOCOL'],
  ['sends a payload that does not belong', [['packet', 'c', 'x']], 'MILTER_PROTOCOL'],
  ['sends a string without its NUL', [['packet', 'y', '550 5.7.1 x']], 'MILTER_PROTOCOL'],
  ['answers twice at once', ['c', 'c'], 'MILTER_PROTOCOL'],
  ['sends garbage', [['garbage', 4000]], 'MILTER_PROTOCOL'],
]

describe.each(LETTERS)('at %s', letter => {
  test.each(wrongs)('a milter that %s fails at once, and the next session works', async (_what, steps, code) => {
    const [play, milter, next] = await attach(letter, steps)
    expect(await codeOf(whole(play))).toBe(code)
    await milter.waitFor('the close', log => log.some(entry => entry.direction === 'close'))
    await whole(next)
    await milter.stop()
  })

  test('a milter that hangs is left at once when the answer is not awaited any more', async () => {
    const [play, milter, next] = await attach(letter, [['hang']])
    const failure = codeOf(whole(play))
    await milter.waitFor(letter, () => milter.letters().endsWith(letter))
    play.controller.abort({ kind: 'timeout', detail: 'too late' })
    expect(await failure).toBe('INTERRUPTED')
    await milter.waitFor('the close', () => milter.open() === 0)
    await whole(next)
    await milter.stop()
  })

  test('closing the session while the milter is asked closes the connection', async () => {
    const [play, milter] = await attach(letter, [['hang']])
    const failure = codeOf(whole(play))
    await milter.waitFor(letter, () => milter.letters().endsWith(letter))
    play.session.close()
    expect(await failure).toBe('INTERRUPTED')
    await milter.waitFor('the close', () => milter.open() === 0)
    await milter.stop()
  })
})

describe('a milter that answers although it agreed not to', () => {
  test.each([
    ['C', 0x1000],
    ['H', 0x2000],
    ['M', 0x4000],
    ['R', 0x8000],
    ['T', 0x10000],
  ] as const)('at %s fails at the next call', async (letter, protocol) => {
    const [play, milter] = await attach(letter, ['c'], { protocol })
    const told = async (): Promise<void> => {
      await play.connect()
      await answered('C')
      await play.helo()
      await answered('H')
      await play.mail()
      await answered('M')
      await play.rcpt()
      await answered('R')
      await play.data()
      await answered('T')
      await play.message()
    }
    // The stray answer is on its way when the milter has logged it; give the kernel a turn to bring it.
    const answered = async (sent: string): Promise<void> => {
      if (sent !== letter) return
      await milter.waitFor('the stray answer', log => log.filter(entry => entry.direction === 'out').length > 1)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    expect(await codeOf(told())).toBe('MILTER_PROTOCOL')
  })

  test.each([
    ['L', 0x80],
    ['N', 0x40000],
    ['B', 0x80000],
  ] as const)('at %s never has that answer taken for the one that decides', async (letter, protocol) => {
    // The stray CONTINUE and the true REJECT arrive together: which is which cannot be known, so neither counts.
    const [play] = await attach('E', ['c', 'r'], { protocol })
    expect(letter).not.toBe('E')
    expect(await codeOf(whole(play))).toBe('MILTER_PROTOCOL')
  })
})

describe('nothing of the edits of a milter that fails half way', () => {
  const edits: Step[] = [
    ['h', 'X-A', '1'],
    ['b', 'new '],
    ['b', 'body'],
    ['m', 1, 'Subject', 'x'],
    ['+', '<x@y>'],
  ]
  test.each([0, 1, 2, 3, 4, 5])('with %i edits sent', async count => {
    const [play, milter] = await attach('E', [...edits.slice(0, count), ['close']], { actions: 0x1ff })
    expect(await codeOf(whole(play))).toBe('MILTER_CLOSED')
    expect(play.openBodies).toBe(0)
    await milter.stop()
  })
})

describe('a connection that went away between messages', () => {
  test('is opened anew at the next MAIL, with connect and helo told again', async () => {
    const milter = await rawMilter({ on: { E: ['c', ['close']] } })
    const play = await playAt(milter.address).greet()
    for (let i = 0; i < 3; i++) {
      expect((await play.send()).message?.verdict).toEqual(CONTINUE)
      await milter.waitFor('the close', () => milter.open() === 0)
      // Our end has to see it too.
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    expect(milter.letters()).toBe('OCHMRTLNBE'.repeat(3))
  })

  test('a verdict at the connect that is told again counts for the message', async () => {
    const milter = await rawMilter({
      on: { E: ['c', ['close']], C: (_packet, { connection }) => (connection === 1 ? undefined : ['r']) },
    })
    const play = await playAt(milter.address).greet()
    await play.send()
    await milter.waitFor('the close', () => milter.open() === 0)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(await play.mail()).toMatchObject({ kind: 'reject' })
  })

  test('but in a message it is a failure', async () => {
    const milter = await rawMilter({ on: { R: ['c', ['close']] } })
    const play = await playAt(milter.address).greet()
    await play.mail()
    await play.rcpt()
    await milter.waitFor('the close', () => milter.open() === 0)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(await codeOf(play.data())).toBe('MILTER_CLOSED')
  })

  test('an abort of the host in the middle of an answer costs that connection only', async () => {
    const milter = await rawMilter({
      on: { R: (_packet, { connection }) => (connection === 1 ? [['hang']] : undefined) },
    })
    const play = await playAt(milter.address).greet()
    await play.mail()
    const failure = codeOf(play.rcpt())
    await milter.waitFor('RCPT', () => milter.letters().endsWith('R'))
    play.controller.abort({ kind: 'mta-abort', detail: 'RSET' })
    play.session.abort()
    expect(await failure).toBe('INTERRUPTED')
    play.controller = new AbortController()
    expect((await play.send()).message?.verdict).toEqual(CONTINUE)
    expect(milter.letters()).toBe('OCHMROCHMRTLNBE')
  })
})

test.each(LETTERS)('a milter process killed at %s fails, and serves the next session when it is back', async letter => {
  const milter = await startMilter('raw', 'inet', JSON.stringify({ on: { [letter]: [['hang']] } }))
  const filter = filterAt(milter.address)
  const play = new Play(filter)
  const failure = codeOf(whole(play))
  await milter.waitForEvent(new RegExp(` ${NAMES[letter]} `))
  process.kill(milter.pid, 'SIGKILL')
  expect(await failure).toBe('MILTER_CLOSED')
  await milter.stop()
  const again = await rawMilter({}, milter.address)
  await whole(new Play(filter))
  await again.stop()
})

const NAMES: Record<(typeof LETTERS)[number], string> = {
  C: 'CONNECT',
  H: 'HELO',
  M: 'MAIL',
  R: 'RCPT',
  T: 'DATA',
  L: 'HEADER',
  N: 'EOH',
  B: 'BODY',
  E: 'BODYEOB',
}
