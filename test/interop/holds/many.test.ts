// Many clients that wait at the same time, through the protocol, without and with an external milter open for each: all are kept
// patient, a message beside them is answered, and the end of milterhost tells each of them.

import { socket } from 'milterhost'
import { definePlugin, type HoldOutcome, tempfail } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import { type MtaClient, mtaClient, rawMilter, until } from '../harness/index.ts'

const COUNT = 500
const BATCH = 50

async function atRecipient(address: string, client: string, sender: 'held' | 'alice'): Promise<MtaClient> {
  const mta = await mtaClient(address)
  await mta.negotiate()
  await mta.connect('client.example.net', client)
  await mta.helo()
  await mta.mail(`<${sender}@example.org>`)
  return mta
}

test.each([0, 1])(`${COUNT} clients wait at once, with %i external milters open for each`, async milters => {
  const outcomes: HoldOutcome[] = []
  let held = 0
  const holding = definePlugin({
    name: 'holding',
    setup: () => ({
      async rcpt(event) {
        if (event.sender.local !== 'held') return
        held++
        outcomes.push(await event.hold(200))
        return tempfail('Not held', { code: 451, enhanced: '4.7.1' })
      },
    }),
  })
  const milter = milters === 0 ? null : await rawMilter()
  const host = await startHost({
    mta: 'postfix',
    budget: { command: '5s' },
    holds: { max: COUNT, stress: 2 * COUNT },
    filters: [milter !== null && socket('beside', milter.address), holding()],
  })
  const waiting: MtaClient[] = []
  for (let n = 0; n < COUNT; n += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, i) => n + i)
    const batch = numbers.map(number => atRecipient(host.address, `10.${number >> 8}.${number & 255}.1`, 'held'))
    waiting.push(...(await Promise.all(batch)))
  }
  for (const mta of waiting) mta.send('R', '<bob@example.com>\0')
  await until(
    () => `all are held (${held} are)`,
    () => held === COUNT,
  )
  if (milter !== null) expect(milter.open()).toBe(COUNT)
  // Each is sent a sign of life.
  for (const mta of waiting) expect((await mta.read()).command).toBe('p')

  const beside = await atRecipient(host.address, '192.0.2.1', 'alice')
  expect((await beside.rcpt('<bob@example.com>')).at(-1)?.command).toBe('c')
  await beside.quit()
  expect(outcomes).toEqual([])

  const drained = host.daemon.drain(25_000)
  for (const mta of waiting) {
    let answer = await mta.read()
    while (answer.command === 'p') answer = await mta.read()
    expect(answer.command).toBe('y')
    expect(answer.data.toString('latin1')).toMatch(/^451 4\.7\.1 Not held/)
    await mta.quit()
  }
  expect(outcomes).toEqual(new Array(COUNT).fill('refused'))
  await drained
})
