import { definePlugin, reject, tempfail } from 'milterhost/plugin'
import { describe, expect, it } from 'vitest'
import type { TarpitOptions } from '../src/index.ts'
import { fakeLadder, SERVER, Stand, SUSPECT } from './stand.ts'

describe('a client without suspicion', () => {
  it('goes on at once and leaves nothing behind', async () => {
    const stand = await Stand.start()
    expect(await stand.send(SERVER)).toMatchObject({ kind: 'continue', held: 0 })
    expect(stand.decisions).toEqual([])
    expect(stand.results).toEqual([undefined])
  })
})

describe('a suspicious client', () => {
  it('waits 125 s at RCPT, is learned at the end of its message, and passes at once from then on', async () => {
    const stand = await Stand.start()
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
    expect(stand.decisions).toEqual(['waited', 'credited'])
    expect(stand.results).toEqual([{ state: 'waited', reasons: ['unnamed'] }])
    for (const days of [1, 18, 20]) {
      await stand.clock.advance(`${days}d`)
      expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    }
    expect(stand.results.at(-1)).toEqual({ state: 'known', reasons: ['unnamed'] })
    expect(stand.counter('decisions_total')).toEqual({ waited: 1, known: 3 })
    expect(stand.counter('holds_total')).toEqual({ waited: 1 })
  })

  it('is forgotten 36 days after its last mail', async () => {
    const stand = await Stand.start({ life: '20d' })
    await stand.send()
    await stand.clock.advance('19d')
    expect(await stand.send()).toMatchObject({ held: 0 })
    await stand.clock.advance('20d')
    await stand.clock.advance(1)
    expect(await stand.send()).toMatchObject({ held: 125 })
  })

  it('that leaves while it waits is greylisted for two days instead of waiting, and passes when it comes again', async () => {
    const stand = await Stand.start()
    await stand.leave()
    expect(stand.decisions).toEqual(['left'])
    const { kind, held, verdict } = await stand.send()
    expect([kind, held]).toEqual(['tempfail', 0])
    expect(verdict).toMatchObject({ reply: { code: 450, enhanced: '4.7.1', lines: ['Greylisted, try again later'] } })
    await stand.clock.advance('4m')
    expect(await stand.send()).toMatchObject({ kind: 'tempfail', held: 0 })
    await stand.clock.advance('2m')
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    expect(await stand.send(SUSPECT, 'other@example.com')).toMatchObject({ kind: 'continue', held: 0 })
    expect(stand.decisions.slice(1)).toEqual([
      ...['failed-before', 'put-off', 'failed-before', 'put-off', 'failed-before', 'came-again', 'known'],
    ])
  })

  it('is asked to wait again two days after it left', async () => {
    const stand = await Stand.start()
    await stand.leave()
    await stand.clock.advance('2d')
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
  })

  it('that leaves does not make its neighbours pay', async () => {
    const stand = await Stand.start()
    await stand.leave()
    expect(await stand.send({ ...SUSPECT, address: '203.0.113.10' })).toMatchObject({ held: 125 })
  })

  it('that came again after the window is put off anew', async () => {
    const stand = await Stand.start({ mode: 'rgrey', greylist: { wait: '1m', window: '1h' } })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail' })
    await stand.clock.advance('1h')
    await stand.clock.advance(1)
    expect(await stand.send()).toMatchObject({ kind: 'tempfail' })
    await stand.clock.advance('1m')
    expect(await stand.send()).toMatchObject({ kind: 'continue' })
  })

  it('waits once in a connection, whatever it does in it, and proves itself with the first message that ends', async () => {
    const stand = await Stand.start()
    const talk = stand.host.open(SUSPECT)
    await talk.mail()
    await stand.patiently(talk.rcpt('a@example.com'))
    expect(stand.clock.now()).toBeGreaterThan(0)
    const after = stand.clock.now()
    await talk.rcpt('b@example.com')
    talk.reset()
    await talk.mail()
    await talk.rcpt('c@example.com')
    await talk.message()
    await talk.message()
    expect(stand.clock.now()).toBe(after)
    talk.quit()
    expect(stand.decisions).toEqual(['waited', 'credited'])
  })
})

describe('only the client’s own departure counts against it', () => {
  /** Waits in full, then ends like this. */
  async function afterWaiting(end: (talk: ReturnType<Stand['host']['open']>) => unknown): Promise<string[]> {
    const stand = await Stand.start()
    const talk = stand.host.open(SUSPECT)
    await talk.mail()
    await stand.patiently(talk.rcpt())
    await end(talk)
    await stand.clock.advance('1ms')
    return stand.decisions
  }

  it('a client that is gone before the end of its message has left', async () => {
    expect(await afterWaiting(talk => talk.disconnect())).toEqual(['waited', 'left'])
  })

  it('one whose message breaks off after DATA has left, since there is no RSET there', async () => {
    expect(
      await afterWaiting(async talk => {
        await talk.data()
        talk.quit()
      }),
    ).toEqual(['waited', 'left'])
  })

  it('RSET and QUIT before DATA say nothing', async () => {
    expect(await afterWaiting(talk => talk.reset())).toEqual(['waited'])
    expect(await afterWaiting(talk => talk.quit())).toEqual(['waited'])
  })

  it('the end of the MTA’s connection during the hold says nothing', async () => {
    const stand = await Stand.start()
    const talk = stand.host.open(SUSPECT)
    await talk.mail()
    const pending = talk.rcpt()
    await stand.clock.advance(10)
    talk.quit()
    await pending
    await stand.clock.advance('1ms')
    expect(stand.decisions).toEqual(['aborted'])
    expect(await stand.send()).toMatchObject({ held: 125 })
  })

  it.each([
    ['reject', reject('No')],
    ['tempfail', tempfail('Later')],
  ] as const)('a message that another filter answers with %s earns nothing and costs nothing', async (_, answer) => {
    const refusing = definePlugin({ name: 'refusing', setup: () => ({ end: () => answer }) })
    const stand = await Stand.start({}, { after: [refusing()] })
    await stand.send()
    expect(stand.decisions).toEqual(['waited'])
    expect(await stand.send()).toMatchObject({ held: 125 })
  })
})

describe('what proves that a client waited', () => {
  it.each([
    ['data', ['waited', 'left']],
    ['eoh', ['waited', 'left']],
    ['eom', ['waited', 'left']],
  ] as const)('with proof %s a client that leaves before that is not learned', async (proof, decisions) => {
    const stand = await Stand.start({ proof })
    const talk = stand.host.open(SUSPECT)
    await talk.mail()
    await stand.patiently(talk.rcpt())
    talk.disconnect()
    expect(stand.decisions).toEqual(decisions)
  })

  it.each(['data', 'eoh', 'eom'] as const)('with proof %s one that sends its message is', async proof => {
    const stand = await Stand.start({ proof })
    await stand.send()
    expect(stand.decisions).toEqual(['waited', 'credited'])
  })
})

describe('modes', () => {
  it('starpit never greylists: who left waits again, and over a limit it goes on', async () => {
    const stand = await Stand.start({ mode: 'starpit' }, { holds: { max: 1 } })
    await stand.leave()
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
    const talk = stand.host.open({ ...SUSPECT, address: '203.0.113.77' })
    await talk.mail()
    const pending = talk.rcpt()
    expect(await stand.send({ ...SUSPECT, address: '203.0.113.78' })).toMatchObject({ kind: 'continue', held: 0 })
    await stand.patiently(pending)
    expect(stand.decisions).toEqual(['left', 'waited', 'credited', 'no-room', 'waited'])
  })

  it('rgrey never holds', async () => {
    const stand = await Stand.start({ mode: 'rgrey' })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail', held: 0 })
    await stand.clock.advance('5m')
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    expect(stand.decisions).toEqual(['greylist', 'put-off', 'greylist', 'came-again'])
  })

  it('both holds at each attempt and greylists too', async () => {
    const stand = await Stand.start({ mode: 'both' })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail', held: 125 })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail', held: 125 })
    await stand.clock.advance('1m')
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    expect(await stand.send(SUSPECT, 'other@example.com')).toMatchObject({ kind: 'continue', held: 0 })
    expect(stand.decisions).toEqual(['waited', 'put-off', 'waited', 'put-off', 'came-again', 'known'])
  })

  it('both does not let a client pass within the connection, however long it was held', async () => {
    const stand = await Stand.start({ mode: 'both', greylist: { wait: '1m' } })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail', held: 125 })
  })
})

describe('stages', () => {
  it.each(['connect', 'helo', 'mail', 'rcpt'] as const)(
    'at %s it is held as long, and learned all the same',
    async at => {
      const stand = await Stand.start({ at, hold: '60s' })
      expect(await stand.send()).toMatchObject({ kind: 'continue', held: 60 })
      expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
      expect(stand.decisions).toEqual(['waited', 'credited', 'known'])
    },
  )

  it('at data it is held for 90 s, at eom for the whole time', async () => {
    expect(await (await Stand.start({ at: 'data' })).send()).toMatchObject({ kind: 'continue', held: 90 })
    expect(await (await Stand.start({ at: 'eom' })).send()).toMatchObject({ kind: 'continue', held: 125 })
  })

  it.each(['connect', 'helo', 'mail'] as const)('who is to be greylisted at %s is told so at RCPT', async at => {
    const stand = await Stand.start({ at, mode: 'rgrey' })
    const talk = stand.host.open(SUSPECT)
    expect((await talk.mail()).kind).toBe('continue')
    expect((await talk.rcpt()).kind).toBe('tempfail')
    talk.quit()
    await stand.clock.advance('5m')
    expect(await stand.send(SUSPECT, 'recipient@example.com', 'sender@example.net')).toMatchObject({ kind: 'continue' })
  })

  it.each(['data', 'eom'] as const)('who is to be greylisted at %s is told so there', async at => {
    const stand = await Stand.start({ at, mode: 'rgrey' })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail' })
    await stand.clock.advance('5m')
    expect(await stand.send()).toMatchObject({ kind: 'continue' })
  })

  it('all recipients of a message get the same answer', async () => {
    const stand = await Stand.start({ mode: 'rgrey' })
    const talk = stand.host.open(SUSPECT)
    await talk.mail()
    const answers = [await talk.rcpt('a@example.com'), await talk.rcpt('b@example.com')]
    expect(answers.map(({ kind }) => kind)).toEqual(['tempfail', 'tempfail'])
    expect(stand.decisions).toEqual(['greylist', 'put-off'])
  })
})

describe('where it cannot hold', () => {
  const busy = async (options: TarpitOptions = {}): Promise<Stand> => {
    const stand = await Stand.start(options, { holds: { max: 1 } })
    const talk = stand.host.open({ ...SUSPECT, address: '203.0.113.200' })
    await talk.mail()
    void talk.rcpt()
    await stand.clock.advance('1ms')
    return stand
  }

  it('over a limit it greylists', async () => {
    const stand = await busy()
    expect(await stand.send()).toMatchObject({ kind: 'tempfail', held: 0 })
    expect(stand.decisions).toEqual(['no-room', 'put-off'])
  })

  it('or lets go, as the option says', async () => {
    const stand = await busy({ overLimit: 'accept' })
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    expect(stand.decisions).toEqual(['no-room'])
  })

  it('an MTA that cannot be kept waiting is no failure of the client', async () => {
    const stand = await Stand.start({}, { mta: 'sendmail' })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail', held: 0 })
    await stand.clock.advance('5m')
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
  })

  it('in observe mode nobody waits and nothing is learned', async () => {
    const stand = await Stand.start({}, { mode: 'observe' })
    for (let n = 0; n < 2; n++) expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    await stand.leave()
    expect(stand.decisions).toEqual(['observed', 'observed', 'observed'])
    expect(stand.counter('credits_total')).toEqual({})
  })
})

describe('on the greylist’s ladder', () => {
  it.each(['passed', 'known'] as const)('who is %s there does not wait', async standing => {
    const ladder = fakeLadder()
    ladder.standing = standing
    const stand = await Stand.start({}, { after: [ladder.entry] })
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    expect(ladder.calls).toEqual([['standing', '203.0.113.9 client.example.net <alice@example.net> <bob@example.com>']])
  })

  it('who waits is credited there and not here', async () => {
    const ladder = fakeLadder()
    ladder.standing = 'pending'
    const stand = await Stand.start({}, { after: [ladder.entry] })
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
    expect(ladder.calls.at(-1)).toEqual([
      'credit',
      '203.0.113.9 client.example.net <alice@example.net> <bob@example.com>',
      'tarpit',
    ])
    expect(await stand.send()).toMatchObject({ held: 125 })
  })

  it('who is to be greylisted is greylisted there', async () => {
    const ladder = fakeLadder()
    const stand = await Stand.start({ mode: 'rgrey' }, { after: [ladder.entry] })
    expect(await stand.send()).toMatchObject({ kind: 'tempfail' })
    ladder.pass = true
    expect(await stand.send()).toMatchObject({ kind: 'continue' })
    expect(ladder.calls.map(([method]) => method)).toEqual(['standing', 'greylist', 'standing', 'greylist'])
  })

  it('when it fails nobody is known, and mail goes on', async () => {
    const ladder = fakeLadder()
    ladder.standing = new Error('broken')
    const stand = await Stand.start({}, { after: [ladder.entry] })
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
    expect(stand.host.logs.filter(({ level }) => level === 'warn')).toMatchObject([
      { message: 'the greylist could not be asked', fields: { error: 'Error: broken' } },
    ])
  })
})

describe('adaptive', () => {
  it('shortens the time to what made nearly all go, and goes on measuring with one client in ten', async () => {
    const stand = await Stand.start({ adaptive: { least: '10s' }, mode: 'starpit' })
    const client = (n: number) => ({ ...SUSPECT, address: `203.0.${n >> 8}.${n & 255}` })
    for (let n = 0; n < 96; n++) await stand.leave(client(n), 20)
    for (let n = 96; n < 99; n++) await stand.leave(client(n), 100)
    expect(await stand.send(client(200))).toMatchObject({ held: 125 })
    await stand.leave(client(99), 100)
    const held = []
    for (let n = 0; n < 20; n++) held.push((await stand.send(client(300 + n))).held)
    expect(held.filter(seconds => seconds === 125)).toHaveLength(2)
    expect(held.filter(seconds => seconds === 21)).toHaveLength(18)
  })
})
