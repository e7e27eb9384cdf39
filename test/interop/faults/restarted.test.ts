// A milter that was met before and then started anew with other wishes. The MTA was told what to send and where not to wait for an
// answer by what the milter wanted then; what it says now must count all the same, or its message is not accepted.

import { socket } from 'milterhost'
import { beforeAll, describe, expect, test } from 'vitest'
import { type RunningHost, startHost } from '../harness/host.ts'
import {
  type MtaClient,
  mtaClient,
  type Packet,
  type RawMilter,
  type RawMilterScript,
  rawMilter,
  type Step,
} from '../harness/index.ts'
import { newClient, stamp } from './chain.ts'

/** NR_* of everything that has one; and nothing of the content. */
const SILENT = 0xf_f080
const NO_CONTENT = 0x10 | 0x20 | 0x40
const [NR_CONN, NR_DATA] = [0x1000, 0x10000]

interface Restarted {
  host: RunningHost
  milter: RawMilter
  script: RawMilterScript
}

/** A host that has met a milter which wants this. */
async function met(protocol: number, further = [stamp('X-Stamp')]): Promise<Restarted> {
  // Who edits headers is sent the content in any case.
  const script: RawMilterScript = { protocol, actions: 0 }
  const milter = await rawMilter(script)
  const host = await startHost({ filters: [...further, socket('anew', milter.address)] })
  const client = await mtaClient(host.address)
  await client.negotiate()
  await client.connect('client.example', newClient())
  expect((await send(client)).command).toBe('c')
  await client.quit()
  return { host, milter, script }
}

async function send(client: MtaClient): Promise<Packet> {
  const { verdict } = await client.message({
    from: '<alice@example.com>',
    to: ['<bob@example.net>', '<carol@example.net>'],
    raw: 'Subject: x\r\n\r\nbody\r\n',
  })
  return verdict
}

const text = ({ command, data }: Packet): string => command + data.toString('latin1')
const LATER = 'y451 4.7.1 Service unavailable - try again later\0'

interface Answer {
  at: string
  name: string
  steps: Step[]
  /** What the MTA must hear in the end. */
  heard: string
}

const ANSWERS: readonly Answer[] = ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E'].flatMap((at): Answer[] => [
  { at, name: 'refuses', steps: [['y', '550 5.7.1 No']], heard: 'y550 5.7.1 No\0' },
  { at, name: 'rejects', steps: ['r'], heard: 'r' },
  { at, name: 'tempfails', steps: ['t'], heard: 't' },
  { at, name: 'closes', steps: [['close']], heard: LATER },
])

describe.each([
  { from: 'answers nothing but the end', was: SILENT, sees: 'CHMRTLNBE', further: [stamp('X-Stamp')] },
  // Then not even DATA is waited for.
  { from: 'answers nothing and wants no content', was: SILENT | NO_CONTENT, sees: 'CHMRTE', further: [] },
])('a milter that $from, and is started anew', ({ was, sees, further }) => {
  let restarted: Restarted
  beforeAll(async () => {
    restarted = await met(was, further)
  })

  test.for(ANSWERS.filter(({ at }) => sees.includes(at)))(
    'is heard when it $name at $at',
    async ({ at, steps, heard }) => {
      const { host, milter, script } = restarted
      const client = await mtaClient(host.address)
      await client.negotiate()
      expect(client.agreed.protocol & NR_CONN).toBe(NR_CONN)
      expect(client.agreed.protocol & NR_DATA).toBe(sees.includes('B') ? 0 : NR_DATA)
      script.protocol = was & NO_CONTENT
      let armed = true
      script.on = {
        [at]: () => {
          const now = armed
          armed = false
          return now ? steps : undefined
        },
      }
      await client.connect('client.example', newClient())
      await client.helo()
      expect(text(await send(client))).toBe(heard)
      expect(armed).toBe(false)
      client.abort()
      // At connect and helo it spoke of the whole connection.
      const standing = 'CH'.includes(at) && heard !== LATER
      expect(text(await send(client))).toBe(standing ? heard : 'c')
      await client.quit()
      script.on = {}
      script.protocol = was
      await milter.waitFor('all connections are gone', () => milter.open() === 0)
      await relearn(host)
    },
  )
})

test.each(['C', 'H', 'M', 'R', 'T', 'E'])(
  'a milter that goes away between two messages and comes back with other wishes is heard at %s',
  async at => {
    const { host, milter, script } = await met(SILENT | NO_CONTENT, [])
    const client = await mtaClient(host.address)
    await client.negotiate()
    await client.connect('client.example', newClient())
    await client.helo()
    script.on = { E: ['c', ['close']] }
    expect(text(await send(client))).toBe('c')
    await milter.waitFor('it has gone', () => milter.open() === 0)
    script.protocol = NO_CONTENT
    script.on = { [at]: [['y', '550 5.7.1 No']] }
    expect(text(await send(client))).toBe('y550 5.7.1 No\0')
    await client.quit()
  },
)

test('a milter that is started anew and wants content which the MTA does not send lets nothing pass', async () => {
  const { host, script } = await met(SILENT | NO_CONTENT, [])
  const client = await mtaClient(host.address)
  await client.negotiate()
  script.protocol = 0
  await client.connect('client.example', newClient())
  await client.helo()
  expect(text(await send(client))).toBe(LATER)
  await client.quit()
  expect(host.eventsOf('filter-failed').map(({ code, filter }) => [code, filter])).toEqual([
    ['MILTER_WANTS_MORE', 'anew'],
  ])
  // The next MTA is asked for all of it.
  const next = await mtaClient(host.address)
  await next.negotiate()
  await next.connect('client.example', newClient())
  expect(text(await send(next))).toBe('c')
  await next.quit()
})

/** The host learns again what the milter wants. */
async function relearn(host: RunningHost): Promise<void> {
  const client = await mtaClient(host.address)
  await client.negotiate()
  await client.connect('client.example', newClient())
  await send(client)
  await client.quit()
}
