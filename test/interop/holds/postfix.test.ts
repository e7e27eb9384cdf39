// Holds behind real Postfix, which is kept patient at every stage. All wait at the same time, since the longest hold is longer than
// Postfix's default timeout.

import { socket } from 'milterhost'
import { beforeAll, expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import {
  freePort,
  type Postfix,
  type RawMilterScript,
  rawMilter,
  requirePrograms,
  startPostfix,
  until,
} from '../harness/index.ts'
import { type Held, holdingHost, STAGES, send } from './held.ts'

const LIMITS = { perClient: 100, perNetwork: 100 }

/** A milter that answers RCPT after six seconds, behind a host and chain of which nobody else waits longer than two. */
async function slowMilter(on: RawMilterScript['on']): Promise<string> {
  const { address } = await rawMilter({ on: on ?? {} })
  const filters = [socket('slow', address, { timeouts: { command: '2s' } })]
  return (await startHost({ filters, budget: { command: '2s' } })).address
}

requirePrograms('postfix')('behind Postfix', () => {
  let patient: { held: Held; ending: Held; endingPort: number; mta: Postfix }
  let impatient: { held: Held; mta: Postfix; busy: number; mute: number }

  beforeAll(async () => {
    const [held, ending, endingPort] = [await holdingHost(), await holdingHost({ holds: LIMITS }), await freePort()]
    const also = [{ port: endingPort, milters: [ending.host.address] }]
    patient = { held, ending, endingPort, mta: await startPostfix({ milters: [held.host.address], also }) }
    const quick = await holdingHost({ holds: LIMITS, budget: { command: '1s', end: '10s' } })
    const busy = await slowMilter({ R: [['progress', 12, 0.5], 'c'] })
    const mute = await slowMilter({ R: [['sleep', 6], 'c'] })
    const ports = [await freePort(), await freePort()] as const
    const mta = await startPostfix({
      milters: [quick.host.address],
      also: [
        { port: ports[0], milters: [busy] },
        { port: ports[1], milters: [mute] },
      ],
      settings: { milter_command_timeout: '3s', milter_content_timeout: '3s' },
    })
    impatient = { held: quick, mta, busy: ports[0], mute: ports[1] }
  })

  test.concurrent('that waits 30 s for a command, a hold of 38 s at rcpt passes', async () => {
    const { held, mta } = patient
    const client = held.plan('rcpt', 38)
    const { text, seconds } = await send(mta.port, client)
    expect(text).toMatch(/^250 /)
    expect(seconds).toBeGreaterThan(37.9)
    expect(held.outcomes(client)).toEqual(['waited'])
    expect(await mta.log()).not.toMatch(/warning|timeout/)
  })

  test.concurrent.each(STAGES)('that waits 3 s, a hold of 8 s at %s passes', async at => {
    const { held, mta } = impatient
    const client = held.plan(at, 8)
    const { text, seconds } = await send(mta.port, client)
    expect(text).toMatch(/^250 /)
    expect(seconds).toBeGreaterThan(7.9)
    expect(held.outcomes(client)).toEqual(['waited'])
    expect(await mta.log()).not.toMatch(/warning|timeout/)
  })

  test.concurrent('an external milter that says it is at work is waited for', async () => {
    const { text, seconds } = await send(impatient.busy, '127.0.2.1')
    expect(text).toMatch(/^250 /)
    expect(seconds).toBeGreaterThan(5.9)
  })

  test.concurrent('one that is silent for as long is not', async () => {
    expect((await send(impatient.mute, '127.0.2.2')).text).toMatch(/^451 4\.7\.1 /)
  })

  test.concurrent('at the end of milterhost all holds end within a second, told in the filter’s words', async () => {
    const { ending, endingPort } = patient
    const clients = Array.from({ length: 10 }, () => send(endingPort, ending.plan('rcpt', 100)))
    const asked = (): number => ending.host.eventsOf('filter-answered').filter(({ stage }) => stage === 'mail').length
    await until('ten clients are held', () => asked() === 10)
    const began = performance.now()
    const drained = ending.host.daemon.drain(25_000)
    await until('all are told', () => ending.all.length === 10)
    expect(performance.now() - began).toBeLessThan(1_000)
    for (const { text } of await Promise.all(clients)) expect(text).toMatch(/^451 4\.7\.1 Not held/)
    await drained
  })
})
