/**
 * The health of an external milter as its sessions meet it, over real sockets.
 */
import { describe, expect, test } from 'vitest'
import { Kept } from '../../../../src/host/kept.ts'
import type { HostEvent } from '../../../../src/host/observe/event.ts'
import { type RawMilterScript, rawMilter, tempDir, until } from '../../../interop/harness/index.ts'
import { codeOf, filterAt, type Message, Play } from '../play.ts'

const never = new AbortController().signal

const passes = async (play: Play, message: Message = {}): Promise<void> => {
  const played = await play.send(message)
  expect(played.message?.verdict.kind).toBe('continue')
}

describe('a milter that is not there', () => {
  test('is found when it comes, without mail, by a negotiation and QUIT', async () => {
    const address = `unix:${tempDir('late')}/milter`
    const events: HostEvent[] = []
    const filter = filterAt(address, { around: { observe: event => events.push(event) } })
    await filter.learn(never)
    expect(filter.health()).toMatchObject({ state: 'down', reason: expect.stringMatching(/no such socket/) })
    expect(await codeOf(new Play(filter).greet())).toBe('MILTER_CONNECT')
    const milter = await rawMilter({}, address)
    await until('it is up', () => filter.health().state === 'up')
    await milter.waitFor('QUIT', () => milter.letters() === 'OQ')
    expect(filter.needs()).not.toBeNull()
    await passes(await new Play(filter).greet())
    expect(events).toMatchObject([
      { type: 'health-changed', filter: 'ext', was: 'unknown', state: 'down' },
      { type: 'health-changed', filter: 'ext', was: 'down', state: 'up', reason: 'it answers' },
    ])
  })

  test('is not tried any more after a while, and used as soon as it is back', async () => {
    const address = `unix:${tempDir('late')}/milter`
    const filter = filterAt(address)
    await filter.learn(never)
    await until('nobody tries', async () => (await codeOf(new Play(filter).greet())) === 'MILTER_DOWN')
    const milter = await rawMilter({}, address)
    await until('it is up', () => filter.health().state === 'up', 5)
    await passes(await new Play(filter).greet())
    await milter.stop()
  })
})

describe('a wedged milter', () => {
  test('is found while a session waits to be connected, which then waits no longer, and is used when it answers again', async () => {
    const script: RawMilterScript = { negotiate: [['hang']] }
    const milter = await rawMilter(script)
    const filter = filterAt(milter.address, { connectTimeout: 60, health: { timeout: '500ms' } })
    const waiting = codeOf(new Play(filter).connect())
    // Two silent seconds, and the probe's half.
    expect(await waiting).toBe('MILTER_DOWN')
    expect(filter.health().state).toBe('wedged')
    expect(await codeOf(new Play(filter).connect())).toBe('MILTER_DOWN')
    delete script.negotiate
    await until('it is up', () => filter.health().state === 'up', 10)
    await passes(await new Play(filter).greet())
  })

  test('that has a message keeps it as long as the message may take', async () => {
    const script: RawMilterScript = { on: { E: [['sleep', 3], 'c'] } }
    const milter = await rawMilter(script)
    const filter = filterAt(milter.address, { health: { timeout: '300ms' } })
    const play = await new Play(filter).greet()
    const sent = play.send()
    await milter.waitFor('the end', () => milter.letters().includes('E'))
    script.negotiate = [['hang']]
    filter.keeper.look()
    await until('it is wedged', () => filter.health().state === 'wedged')
    expect((await sent).message?.verdict.kind).toBe('continue')
    // It has answered, so it is not wedged.
    expect(filter.health().state).toBe('up')
  })
})

describe('a milter that goes away over a message', () => {
  const lethal: Message = { headers: [['Message-ID', ' <lethal@x>'], ['Subject', ' x']] } // biome-ignore format: one line
  const harmless: Message = { headers: [['Message-ID', ' <harmless@x>'], ['Subject', ' x']] } // biome-ignore format: one line
  const lethalScript: RawMilterScript = {
    on: { L: packet => (packet.data.includes('<lethal@x>') ? [['close']] : undefined) },
  }
  const send = (filter: ReturnType<typeof filterAt>, message: Message): Promise<string> =>
    codeOf(new Play(filter).greet().then(play => passes(play, message)))

  test('is not given it a third time, and other mail goes on', async () => {
    const milter = await rawMilter(lethalScript)
    const filter = filterAt(milter.address)
    expect(await send(filter, lethal)).toBe('MILTER_CLOSED')
    expect(await send(filter, harmless)).toBe('no error')
    expect(await send(filter, lethal)).toBe('MILTER_CLOSED')
    const before = milter.received('L').length
    expect(await send(filter, lethal)).toBe('MILTER_POISON')
    expect(milter.received('L')).toHaveLength(before)
    expect(await send(filter, harmless)).toBe('no error')
  })

  test('is not given it by the next generation either, and its state goes on', async () => {
    const milter = await rawMilter(lethalScript)
    const kept = new Kept()
    const filter = filterAt(milter.address, { around: { kept } })
    await filter.learn(never)
    const { since } = filter.health()
    expect(await send(filter, lethal)).toBe('MILTER_CLOSED')
    expect(await send(filter, lethal)).toBe('MILTER_CLOSED')
    const next = filterAt(milter.address, { around: { kept } })
    await next.learn(never)
    await filter.close()
    expect(await send(next, lethal)).toBe('MILTER_POISON')
    expect(next.health()).toMatchObject({ state: 'up', since })
  })
})

describe('a milter with a limit to its connections', () => {
  const inMessage = async (filter: ReturnType<typeof filterAt>): Promise<Play> => {
    const play = await new Play(filter).greet()
    await play.mail()
    return play
  }
  const soon = async (promise: Promise<unknown>): Promise<'over' | 'waits'> =>
    Promise.race([promise.then(() => 'over' as const), new Promise<'waits'>(done => setTimeout(done, 100, 'waits'))])

  test('never has more, and who waits goes on in turn when one ends', async () => {
    const milter = await rawMilter()
    const filter = filterAt(milter.address, { concurrency: 2 })
    const [one, two] = [await inMessage(filter), await inMessage(filter)]
    const order: string[] = []
    const three = inMessage(filter).then(play => {
      order.push('three')
      return play
    })
    const four = inMessage(filter).then(() => order.push('four'))
    expect(await soon(Promise.race([three, four]))).toBe('waits')
    expect(milter.open()).toBe(2)
    one.session.close()
    const third = await three
    two.session.close()
    await four
    expect(order).toEqual(['three', 'four'])
    await milter.waitFor('two are open', () => milter.open() === 2)
    third.session.close()
  })

  test('is given up by sessions between two messages when somebody waits, and is told connect and helo anew', async () => {
    const milter = await rawMilter()
    const filter = filterAt(milter.address, { concurrency: 1 })
    const [one, two] = [new Play(filter), new Play(filter)]
    await passes(await one.greet())
    await passes(await two.greet())
    await passes(one)
    await one.mail()
    const other = passes(two)
    expect(await soon(other)).toBe('waits')
    one.session.abort()
    await other
    expect(milter.letters(1)).toBe('OCHMRTLNBEQ')
    expect(milter.letters(3)).toBe('OCHMRTLNBEMAQ')
  })

  test('is not waited for longer than the command may take', async () => {
    const milter = await rawMilter()
    const filter = filterAt(milter.address, { concurrency: 1 })
    const one = await inMessage(filter)
    const late = new Play(filter)
    const failure = codeOf(late.connect())
    late.controller.abort({ kind: 'timeout', detail: 'too late' })
    expect(await failure).toBe('INTERRUPTED')
    one.session.close()
    await passes(await new Play(filter).greet())
  })

  test.each<[string, RawMilterScript, string]>([
    ['refuses the negotiation', { negotiate: [['close']] }, 'MILTER_NEGOTIATION'],
    ['breaks off at work', { on: { M: [['close']] } }, 'MILTER_CLOSED'],
    ['breaks the protocol', { on: { M: ['Z'] } }, 'MILTER_PROTOCOL'],
  ])('has its place back when it %s', async (_what, script, code) => {
    const milter = await rawMilter(script)
    const filter = filterAt(milter.address, { concurrency: 1 })
    const failing = (): Promise<string> => codeOf(new Play(filter).greet().then(play => play.send()))
    expect(await failing()).toBe(code)
    expect(await failing()).toBe(code)
    delete script.negotiate
    script.on = {}
    await passes(await new Play(filter).greet())
  })

  test('has its place back when it closes between two messages', async () => {
    const milter = await rawMilter({ on: { E: ['c', ['close']] } })
    const filter = filterAt(milter.address, { concurrency: 1 })
    const one = await new Play(filter).greet()
    await passes(one)
    await milter.waitFor('the close', () => milter.open() === 0)
    await passes(await new Play(filter).greet())
    await passes(one)
  })
})

test('a restart is refused when the entry does not say how the milter is started', async () => {
  expect(await codeOf(filterAt('unix:/nowhere').restart())).toBe('MILTER_NO_LAUNCH')
})
