import { describe, expect, it } from 'vitest'
import tarpit, { type TarpitOptions } from '../src/index.ts'
import { SERVER, Stand, type StandOptions, SUSPECT } from './stand.ts'

const LINE = { address: '203.0.113.9', hostname: 'ppp-203-0-113-9.example.net' }

async function reasonsOf(
  options: TarpitOptions,
  client: Parameters<Stand['send']>[0],
  more: StandOptions = {},
): Promise<readonly string[]> {
  const stand = await Stand.start({ hold: 1, ...options }, more)
  await stand.send(client)
  return stand.results[0]?.reasons ?? []
}

describe('what makes a client suspicious', () => {
  it('a name of an end user’s line, no name, and a name that leads elsewhere', async () => {
    expect(await reasonsOf({}, LINE)).toEqual(['s25r:1'])
    expect(await reasonsOf({}, SUSPECT)).toEqual(['unnamed'])
    expect(await reasonsOf({}, { ...SERVER, macros: { client_resolve: 'FORGED' } })).toEqual(['unnamed'])
    expect(await reasonsOf({}, { address: '2001:db8::25', hostname: null })).toEqual(['unnamed'])
    expect(await reasonsOf({}, SERVER)).toEqual([])
  })

  it('each can be turned off, and the rules be given lists', async () => {
    expect(await reasonsOf({ suspect: { s25r: false } }, LINE)).toEqual([])
    expect(await reasonsOf({ suspect: { s25r: false, unnamed: false } }, SUSPECT)).toEqual([])
    expect(await reasonsOf({ suspect: { s25r: { whitelist: ['example.net'] } } }, LINE)).toEqual([])
    expect(await reasonsOf({ suspect: { s25r: { blacklist: [/^mx\./] } } }, SERVER)).toEqual(['s25r:listed'])
  })

  it('a DNS block list that names it; one that does not answer is no reason', async () => {
    const zone = {
      '25.100.51.198.bl.example': { a: ['127.0.0.2'] },
      '25.100.51.198.down.example': 'ESERVFAIL',
    } as const
    const suspect = { dnsbl: ['down.example', 'bl.example'] }
    expect(await reasonsOf({ suspect }, SERVER, { zone })).toEqual(['dnsbl:bl.example'])
  })

  it('the postmaster’s own rule, which is told what is known', async () => {
    const seen: unknown[] = []
    const when = (attempt: unknown) => {
      seen.push(attempt)
      return Promise.resolve('heuristic')
    }
    expect(await reasonsOf({ suspect: { when } }, SERVER)).toEqual(['own-rule:heuristic'])
    expect(seen).toMatchObject([
      {
        client: { address: SERVER.address },
        helo: 'client.example.net',
        sender: 'alice@example.net',
        recipient: 'bob@example.com',
      },
    ])
    expect(await reasonsOf({ suspect: { when: () => true } }, SERVER)).toEqual(['own-rule'])
    expect(await reasonsOf({ suspect: { when: () => false } }, SERVER)).toEqual([])
  })

  it('a name of any length costs nothing', async () => {
    const began = performance.now()
    expect(await reasonsOf({}, { address: '203.0.113.9', hostname: `1a1.${'1a'.repeat(30_000)}.example` })).toEqual([
      's25r:1',
    ])
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})

describe('who does not wait', () => {
  it.each<[string, Parameters<Stand['send']>[0], TarpitOptions]>([
    ['an authenticated client', { ...SUSPECT, auth: { user: 'alice' } }, {}],
    ['a client with a trusted certificate', { ...SUSPECT, macros: { cert_subject: '/CN=mx' } }, {}],
    ['a client Sendmail verified', { ...SUSPECT, macros: { verify: 'OK' } }, {}],
    ['a private address', { address: '10.1.2.3', hostname: null }, {}],
    ['mail that has no address', { address: '', hostname: null }, {}],
    ['our own networks', SUSPECT, { bypass: { networks: ['203.0.113.0/24'] } }],
    ['a verified name', LINE, { bypass: { names: [/^ppp-203-0-113-9\./] } }],
    ['a recipient who wants no delay', SUSPECT, { bypass: { recipients: ['Bob@example.com'] } }],
    ['a domain that wants no delay', SUSPECT, { bypass: { recipients: ['com'] } }],
    ['the postmaster’s own rule', SUSPECT, { bypass: { when: async ({ sender }) => sender === 'alice@example.net' } }],
  ])('%s', async (_, client, options) => {
    const stand = await Stand.start(options)
    expect(await stand.send(client)).toMatchObject({ kind: 'continue', held: 0 })
    expect(stand.decisions).toEqual([])
  })

  it.each<[string, Parameters<Stand['send']>[0], TarpitOptions]>([
    ['a private address, where that is said', { address: '10.1.2.3', hostname: null }, { bypass: { local: false } }],
    [
      'an authenticated client, where that is said',
      { ...SUSPECT, auth: { user: 'a' } },
      { bypass: { authenticated: false } },
    ],
    [
      'a name that leads elsewhere',
      { ...LINE, macros: { client_resolve: 'FORGED' } },
      { bypass: { names: ['example.net'] } },
    ],
    ['a certificate Sendmail did not verify', { ...SUSPECT, macros: { verify: 'FAIL', cert_subject: '/CN=x' } }, {}],
  ])('but %s does', async (_, client, options) => {
    const stand = await Stand.start(options)
    expect(await stand.send(client)).toMatchObject({ held: 125 })
  })

  it('a recipient who wants no delay gives none to the next one of the message', async () => {
    const stand = await Stand.start({ mode: 'rgrey', bypass: { recipients: ['example.com'] } })
    const talk = stand.host.open(SUSPECT)
    await talk.mail()
    expect((await talk.rcpt('a@example.com')).kind).toBe('continue')
    expect((await talk.rcpt('b@example.org')).kind).toBe('tempfail')
  })
})

describe('options', () => {
  it.each([
    [{ earlyTalkers: true }, "option earlyTalkers: needs at: 'connect'"],
    [{ hold: '5m' }, 'option hold: must be at most 240 s at rcpt'],
    [{ hold: '100s', at: 'data' }, 'option hold: must be at most 90 s at data'],
    [{ hold: 'long' }, 'option hold: must be a length of time'],
    [{ mode: 'grey' }, 'option mode'],
    [{ bypass: { networks: ['10.0.0.1/8'] } }, 'option bypass.networks: "10.0.0.1/8" is not a network'],
    [{ suspect: { s25r: { whitelist: [7] } } }, 'option suspect.s25r'],
    [{ suspect: { when: 'yes' } }, 'option suspect.when: must be a function'],
    [{ reply: { enhanced: '5.7.1' } }, 'option reply.enhanced'],
    [{ adaptive: { keep: 0 } }, 'option adaptive'],
    [{ holdd: 3 }, 'holdd'],
  ])('%j is refused when the configuration is loaded', async (options, message) => {
    await expect(Stand.start(options as never)).rejects.toThrow(message)
  })

  it('light is 65 s', async () => {
    expect(await (await Stand.start({ hold: 'light' })).send()).toMatchObject({ held: 65 })
  })

  it('a store that cannot be opened stops the start, and says which', async () => {
    await expect(Stand.start({ store: { path: '/proc/tarpit.sqlite' } })).rejects.toThrow(
      'cannot open /proc/tarpit.sqlite',
    )
  })

  it('the reply can be another', async () => {
    const stand = await Stand.start({ mode: 'rgrey', reply: { code: 451, enhanced: '4.7.0', text: 'Later, please' } })
    expect((await stand.send()).verdict).toMatchObject({
      reply: { code: 451, enhanced: '4.7.0', lines: ['Later, please'] },
    })
  })

  it('health says whether the file can be written', async () => {
    const stand = await Stand.start()
    expect([...(await stand.host.check()).get('tarpit')!.facts]).toContainEqual(['health', 'store ok'])
    expect(tarpit().kind).toBe('plugin')
  })
})
