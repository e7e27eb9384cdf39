import { afterEach, describe, expect, test } from 'vitest'
import { CONTINUE } from '../../../src/host/verdict.ts'
import {
  cstrings,
  type RawMilter,
  type RawMilterScript,
  rawMilter,
  type Step,
  uint32,
} from '../../interop/harness/index.ts'
import { codeOf, EVERYTHING, filterAt, Play, playAt } from './play.ts'

const never = new AbortController().signal
const answer = (...numbers: number[]): Step[] => [['packet', 'O', uint32(...numbers)]]
const quitSeen = (milter: RawMilter): Promise<void> =>
  milter.waitFor('QUIT', log => log.some(entry => entry.direction === 'in' && entry.command === 'Q'))

let milter: RawMilter
const attach = async (script: RawMilterScript = {}): Promise<string> => {
  milter = await rawMilter(script)
  return milter.address
}
afterEach(() => milter?.stop())

describe('the offer', () => {
  test.each([
    [6, 0x1ff, 0x1fffff],
    [4, 0x1ff, 0x37f],
    [3, 0x1ff, 0x17f],
    [2, 0x1ff, 0x7f],
  ] as const)('of version %i has all actions and the flags of that version', async (version, actions, flags) => {
    await filterAt(await attach(), { version }).probe(never)
    expect(milter.received('O')[0]!.data).toEqual(uint32(version, actions, flags))
  })
})

describe('a milter of an older version', () => {
  test.each([
    [2, 'OCHMRLNBE'],
    [3, 'OCHUMRLNBE'],
    [4, 'OCHUMRTLNBE'],
    [6, 'OCHUMRTLNBE'],
  ] as const)('%i is sent the commands it knows, whether offered or answered', async (version, letters) => {
    for (const offered of [version, 6] as const) {
      const play = playAt(await attach({ version }), { version: offered })
      await play.greet()
      expect(await play.unknown()).toEqual(CONTINUE)
      expect((await play.send()).message?.verdict).toEqual(CONTINUE)
      expect(milter.letters()).toBe(letters)
      await milter.stop()
    }
  })

  test.each([2, 3])('%i with an unknown command in the message: only before the first recipient', async version => {
    const play = playAt(await attach({ version }))
    await play.greet()
    await play.mail()
    await play.unknown()
    await play.rcpt()
    await play.unknown()
    await play.data()
    expect((await play.message()).verdict).toEqual(CONTINUE)
    expect(milter.letters()).toBe(version === 2 ? 'OCHMRLNBE' : 'OCHMURLNBE')
  })
})

describe('an answer that is no agreement', () => {
  test.each<[string, Step[]]>([
    ['version 7', answer(7, 0, 0)],
    ['version 1', answer(1, 0, 0)],
    ['version 0x80000000', answer(0x80000000, 0, 0)],
    ['an action that was not offered', answer(6, 0x200, 0)],
    ['three bytes', [['packet', 'O', 'abc']]],
    ['nothing', ['O']],
    ['another packet', ['c']],
    ['a symbol list without its end', [['packet', 'O', Buffer.concat([uint32(6, 0, 0, 2), Buffer.from('i')])]]],
    ['garbage', [['garbage', 200]]],
    ['a second answer', [...answer(6, 0, 0), ...answer(6, 0, 0)]],
    ['an answer before anything was asked', [...answer(6, 0, 0), 'c']],
    ['a closed connection', [['close']]],
    ['a reset connection', [['rst']]],
  ])('%s fails the milter with a code, and says why', async (_what, negotiate) => {
    const play = playAt(await attach({ negotiate }))
    const failure = play.connect()
    expect(await codeOf(failure)).toBe('MILTER_NEGOTIATION')
    await expect(failure).rejects.toThrow(/^no agreement with filter ext: /)
  })

  test('a milter that closes over the offer is told to be tried with an older version', async () => {
    await expect(playAt(await attach({ negotiate: [['close']] })).connect()).rejects.toThrow(/try version: 2/)
  })
})

describe('an odd answer that is put right', () => {
  test('unknown protocol flags are left out, flags that were not offered are honoured', async () => {
    const filter = filterAt(await attach({ negotiate: answer(2, 0x3f, 0xffe00400 | 0x80) }), { version: 2 })
    const { facts } = await filter.probe(never)
    expect(facts.get('protocol flags')).toBe('NR_HDR|NOUNKNOWN|NODATA|SKIP')
    expect(facts.get('notes')).toMatch(/unknown protocol flags .* are left out; .* were not offered and are honoured/)
  })

  test('a symbol list for a stage that does not exist is left out', async () => {
    const symbols = Buffer.concat([uint32(6, 0, 0, 99), cstrings('a b'), uint32(5), cstrings('{x}, v')])
    const filter = filterAt(await attach({ negotiate: [['packet', 'O', symbols]] }))
    await filter.probe(never)
    expect(filter.needs()!.macros).toEqual(new Map([['eom', ['x', 'v']]]))
  })
})

describe('a milter that cannot be met', () => {
  test('nobody listens', async () => {
    const address = await attach()
    await milter.stop()
    const failure = playAt(address).connect()
    expect(await codeOf(failure)).toBe('MILTER_CONNECT')
    await expect(failure).rejects.toThrow(/ECONNREFUSED/)
  })

  test('there is no such socket', async () => {
    const failure = playAt('unix:/nonexistent/milter.sock').connect()
    expect(await codeOf(failure)).toBe('MILTER_CONNECT')
    await expect(failure).rejects.toThrow(/there is no such socket/)
  })

  test('it never answers the offer: the time for connecting is up', async () => {
    const play = playAt(await attach({ negotiate: [['hang']] }), { connectTimeout: 0.1 })
    expect(await codeOf(play.connect())).toBe('MILTER_CONNECT_TIMEOUT')
    await milter.waitFor('the close', () => milter.open() === 0)
  })

  test('it never answers the offer and the host waits no longer', async () => {
    const play = playAt(await attach({ negotiate: [['hang']] }))
    const failure = codeOf(play.connect())
    await milter.waitFor('the offer', () => milter.letters() === 'O')
    play.controller.abort({ kind: 'client-left', detail: 'gone' })
    expect(await failure).toBe('INTERRUPTED')
    await milter.waitFor('the close', () => milter.open() === 0)
  })
})

describe('what a milter wants', () => {
  const clamav = 0x342 // NOHELO NOEOH NOUNKNOWN NODATA

  test('is not known before it was met, and is learned with OPTNEG and QUIT, never a bare connect', async () => {
    const filter = filterAt(await attach({ actions: 0x31, protocol: clamav }))
    expect(filter.needs()).toBeNull()
    await filter.learn(never)
    await quitSeen(milter)
    expect(milter.letters()).toBe('OQ')
    const needs = filter.needs()!
    expect([...needs.events]).toEqual(['connect', 'mail', 'rcpt', 'header', 'body'])
    expect([...needs.edits]).toEqual(['addHeader', 'insertHeader', 'changeHeader', 'removeHeader', 'quarantine'])
    expect(needs.refusedRecipients).toBe(false)
  })

  test('not to be learned now is no error: the first session tries again', async () => {
    const address = await attach()
    await milter.stop()
    const filter = filterAt(address)
    await filter.learn(never)
    expect(filter.needs()).toBeNull()
  })

  test('events without an answer are told apart', async () => {
    const filter = filterAt(await attach({ protocol: 0xff080 | 0x800 }))
    await filter.probe(never)
    expect([...filter.needs()!.events]).toHaveLength(9)
    expect([...filter.needs()!.answers]).toEqual([])
    expect(filter.needs()!.refusedRecipients).toBe(true)
  })

  test('decides when there is a connection: none before the first event that concerns it', async () => {
    const filter = filterAt(await attach({ protocol: 0x1 | 0x2 | 0x4 | 0x100 })) // NOCONNECT NOHELO NOMAIL NOUNKNOWN
    await filter.learn(never)
    const play = await new Play(filter).greet()
    await play.mail()
    await play.unknown()
    expect(milter.letters(2)).toBe('')
    await play.rcpt()
    expect(milter.letters(2)).toBe('OR')
    await play.data()
    expect((await play.message()).verdict).toEqual(CONTINUE)
    expect(milter.letters(2)).toBe('ORTLNBE')
  })

  test('a milter that nothing concerns before the message is told connect and helo only if it wants them', async () => {
    const filter = filterAt(await attach({ protocol: 0x1 | 0x2 | 0x4 | 0x8 | 0x200 })) // up to NORCPT and NODATA
    await filter.learn(never)
    const play = await new Play(filter).greet()
    await play.send()
    expect(milter.letters(2)).toBe('OLNBE')
  })

  test('is remembered over connections, and a milter restarted with more is not left without it', async () => {
    const script: { protocol: number; actions: number } = { protocol: 0x10 | 0x20, actions: 0 } // NOBODY NOHDRS
    const filter = filterAt(await attach(script))
    await filter.learn(never)
    const asked = new Set([...EVERYTHING].filter(event => filter.needs()!.events.has(event)))
    script.protocol = 0
    const failure = new Play(filter, asked).greet()
    expect(await codeOf(failure)).toBe('MILTER_WANTS_MORE')
    await expect(failure).rejects.toThrow(/header, body/)
    expect([...filter.needs()!.events]).toContain('body')
    const next = await new Play(filter).greet()
    expect((await next.send()).message?.verdict).toEqual(CONTINUE)
  })

  test('a milter joined at RCPT that wants MAIL after all fails, for it has not seen the sender', async () => {
    const script = { protocol: 0x1 | 0x2 | 0x4 }
    const filter = filterAt(await attach(script))
    await filter.learn(never)
    script.protocol = 0
    const play = await new Play(filter).greet()
    await play.mail()
    expect(await codeOf(play.rcpt())).toBe('MILTER_WANTS_MORE')
  })

  test('DATA that the MTA cannot send is made up for before the content', async () => {
    const filter = filterAt(await attach({ on: { T: [['y', '550 5.7.1 No data']] } }))
    const asked = new Set([...EVERYTHING].filter(event => event !== 'data' && event !== 'unknown'))
    const play = await new Play(filter, asked).greet()
    await play.mail()
    await play.rcpt()
    expect((await play.message()).verdict).toMatchObject({ kind: 'reject' })
    expect(milter.letters()).toBe('OCHMRT')
  })
})

test('a probe reports address, version, actions and flags by name, and macros', async () => {
  const filter = filterAt(await attach({ actions: 0x111, protocol: 0x100702, symlist: { 2: 'i {auth_type}' } }))
  const report = await filter.probe(never)
  expect(report.events).toEqual(['connect', 'mail', 'rcpt', 'header', 'eoh', 'body'])
  expect(report.mayEdit).toEqual(['addHeader', 'insertHeader', 'changeHeader', 'removeHeader'])
  expect(Object.fromEntries(report.facts)).toEqual({
    address: milter.address.replace(/^inet:(.*):(\d+)$/, 'inet:$2@$1'),
    'protocol version': '6',
    actions: 'ADDHDRS|CHGHDRS|SETSYMLIST',
    'protocol flags': 'NOHELO|NOUNKNOWN|NODATA|SKIP|HDR_LEADSPC',
    'macros at mail': 'i auth_type',
  })
  await quitSeen(milter)
  expect(milter.letters()).toBe('OQ')
})
