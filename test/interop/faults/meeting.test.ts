// An external milter that cannot be met: absent, refusing, silent, or lying when it negotiates; at whichever event it would be met.
// Sessions that have met it before go on with their mail all the while.

import { socket } from 'milterhost'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cstrings, type Step, tempDir, uint32 } from '../harness/index.ts'
import { type Hosts, hostsFor, newClient, type OnFailure, POLICIES, steadily } from './chain.ts'
import { failsOnce, greeted, MILTER_WELL, passes } from './conversation.ts'
import { type FaultyMilter, faultyMilter } from './milter-fault.ts'
import { answer, REFUSALS, type Refusal, takeAway } from './refusal.ts'

interface Met {
  milter: FaultyMilter
  hosts: Hosts
}

/** Hosts that know what the milter wants, each with a session that goes on. */
async function start(protocol: number): Promise<Met> {
  const milter = await faultyMilter(`unix:${tempDir('faulty')}/milter`, protocol)
  const timeouts = { connect: 1, command: 30, end: 60 }
  const hosts = await hostsFor(onFailure => socket('faulty', milter.address, { onFailure, timeouts }))
  for (const host of Object.values(hosts)) {
    const client = await greeted(host, newClient())
    await passes(client, MILTER_WELL)
    beside.push(steadily(() => passes(client, MILTER_WELL)))
  }
  return { milter, hosts }
}

const beside: { stop(): Promise<number> }[] = []

afterAll(async () => {
  for (const session of beside) expect(await session.stop()).toBeGreaterThan(1)
})

async function fails({ milter, hosts }: Met, at: string, refusal: Refusal, onFailure: OnFailure): Promise<void> {
  const heal = refusal.nobody && (await takeAway(milter, refusal.nobody))
  if (refusal.steps) milter.misagree(refusal.steps)
  await failsOnce({
    host: hosts[onFailure],
    address: newClient(),
    at,
    onFailure,
    code: refusal.code,
    well: MILTER_WELL,
    ...(heal && { heal }),
  })
}

describe('a milter that wants everything', () => {
  let met: Met
  beforeAll(async () => {
    met = await start(0)
  })

  describe.each(POLICIES)('with onFailure %s', onFailure => {
    test.for(REFUSALS)('that $name costs the first message what it should, and the next one nothing', refusal =>
      fails(met, 'C', refusal, onFailure),
    )
  })

  test.for<[string, Step]>([
    ['flags that do not exist', answer(uint32(6, 0x1ff, 0x8000_0000))],
    [
      'macros for a stage that does not exist',
      answer(uint32(6, 0x1ff, 0, 99), cstrings('i'), uint32(3), cstrings('j')),
    ],
    ['macros for one stage twice', answer(uint32(6, 0x1ff, 0, 1), cstrings('i'), uint32(1), cstrings('j'))],
  ])('that asks for %s is worked with all the same', async ([, step]) => {
    met.milter.misagree([step])
    const client = await greeted(met.hosts.tempfail, newClient())
    await passes(client, MILTER_WELL)
    await client.quit()
  })
})

const [NOCONNECT, NOHELO, NOMAIL, NORCPT, NODATA] = [0x01, 0x02, 0x04, 0x08, 0x200]

describe.each([
  { first: 'H', protocol: NOCONNECT },
  { first: 'M', protocol: NOCONNECT | NOHELO },
  { first: 'R', protocol: NOCONNECT | NOHELO | NOMAIL },
  { first: 'T', protocol: NOCONNECT | NOHELO | NOMAIL | NORCPT },
  { first: 'L', protocol: NOCONNECT | NOHELO | NOMAIL | NORCPT | NODATA },
])('a milter that wants nothing before $first', ({ first, protocol }) => {
  let met: Met
  beforeAll(async () => {
    met = await start(protocol)
  })

  describe.each(POLICIES)('with onFailure %s', onFailure => {
    const some = ['is absent', 'refuses connections', 'closes', 'answers with version 9']
    // Waited for once a policy above.
    if (onFailure === 'tempfail') some.push('hangs')
    test.for(REFUSALS.filter(({ name }) => some.includes(name)))(
      'and then $name costs the message what it should, and the next one nothing',
      refusal => fails(met, first, refusal, onFailure),
    )
  })
})

// The MTA is asked for no answer at MAIL and RCPT when no filter has one: the failure is told where there is one.
describe('a milter that wants CONNECT and the content', () => {
  let met: Met
  beforeAll(async () => {
    met = await start(NOHELO | NOMAIL | NORCPT)
  })

  test.each(POLICIES)('and is absent at CONNECT costs the first message what it should with onFailure %s', onFailure =>
    fails(met, 'C', REFUSALS[0] as Refusal, onFailure),
  )
})
