// Holds behind real Sendmail, which takes a sign of life only at the end of the message: before that, a hold has to fit into what it
// waits for a reply, and the postmaster is told what to set when one does not.

import { beforeAll, expect, test } from 'vitest'
import { requirePrograms, type Sendmail, startSendmail } from '../harness/index.ts'
import { type Held, holdingHost, send } from './held.ts'

requirePrograms('sendmail')('behind Sendmail', () => {
  let plain: { held: Held; mta: Sendmail }
  let longer: { held: Held; mta: Sendmail }

  beforeAll(async () => {
    const held = await holdingHost()
    plain = { held, mta: await startSendmail({ milters: [held.host.address] }) }
    const more = await holdingHost({ budget: { command: '20s' } })
    const timeouts = 'C:5m;S:10s;R:25s;E:5m'
    longer = { held: more, mta: await startSendmail({ milters: [more.host.address], timeouts }) }
  })

  test.concurrent('that waits 10 s for a reply, a hold within that passes', async () => {
    const client = plain.held.plan('rcpt', 3)
    expect((await send(plain.mta.port, client)).text).toMatch(/^250 /)
    expect(plain.held.outcomes(client)).toEqual(['waited'])
  })

  test.concurrent('a longer one is refused at once, and the postmaster told once what to set', async () => {
    const client = plain.held.plan('rcpt', 125)
    for (let n = 0; n < 2; n++) {
      const { text, seconds } = await send(plain.mta.port, client)
      expect(text).toMatch(/^451 4\.7\.1 Not held/)
      expect(seconds).toBeLessThan(8)
    }
    expect(plain.held.outcomes(client)).toEqual(['refused', 'refused'])
    expect(plain.held.host.eventsOf('limit-reached').map(({ code }) => code)).toEqual(['HOLD_IMPATIENT'])
  })

  test.concurrent('at the end of the message a longer one passes', async () => {
    const client = plain.held.plan('end', 13)
    const { text, seconds } = await send(plain.mta.port, client)
    expect(text).toMatch(/^250 /)
    expect(seconds).toBeGreaterThan(12.9)
    expect(plain.held.outcomes(client)).toEqual(['waited'])
  })

  test.concurrent('that was given more time, as was the budget, holds beyond its default', async () => {
    const client = longer.held.plan('rcpt', 12)
    expect((await send(longer.mta.port, client)).text).toMatch(/^250 /)
    expect(longer.held.outcomes(client)).toEqual(['waited'])
  })
})
