// A milter on the real libmilter, a process of its own, that is killed while it is at work, or stopped and continued. The MTA is set to
// let through what a broken milter cannot judge: what goes through without it goes by the host's `onFailure` and no other way.

import { socket } from 'milterhost'
import { beforeAll, describe, expect, test } from 'vitest'
import { letter } from '../chain/letter.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import { type Milter, requirePrograms, sleep, smtp, startMilter, tempDir } from '../harness/index.ts'
import { stamp } from './chain.ts'
import { type Attached, attach, checkMail, type Expected, milterComplaints } from './mtas.ts'

interface Moment {
  name: string
  sender?: string
  recipient?: string
  /** What it is to do at the end of the message. */
  orders?: string[]
  /** What it tells when the moment has come; without, that is after HELO. */
  event?: RegExp
  signal?: NodeJS.Signals
  /** Replies that the client has, the final one included, when the message is refused. */
  replies: number
  code: RegExp
}

const CLOSED = /^MILTER_CLOSED$/
const EDITS = [
  'addheader X-Partial 1',
  'chgheader Subject 1 partial',
  'delrcpt bob@example.net',
  'chgfrom x@example.com',
]

const MOMENTS: readonly Moment[] = [
  { name: 'killed after HELO', replies: 1, code: /^MILTER_(CONNECT|NEGOTIATION|CLOSED)$/ },
  { name: 'killed at MAIL', sender: 'sleep60@example.com', event: /mail <sleep/, replies: 1, code: CLOSED },
  { name: 'killed at RCPT', recipient: 'sleep60@example.net', event: /rcpt <sleep/, replies: 2, code: CLOSED },
  { name: 'killed at the end', orders: ['sleep 60'], event: / eom/, replies: 4, code: CLOSED },
  { name: 'killed with edits sent', orders: [...EDITS, 'sleep 60'], event: / eom/, replies: 4, code: CLOSED },
  {
    name: 'killed with half of a body sent',
    orders: [...EDITS, 'chgbody PARTIAL', 'bigbody 3000', 'sleep 60'],
    event: / eom/,
    replies: 4,
    code: CLOSED,
  },
  {
    name: 'stopped with edits sent',
    orders: [...EDITS, 'chgbody PARTIAL', 'sleep 60'],
    event: / eom/,
    signal: 'SIGSTOP',
    replies: 4,
    code: /^FILTER_TIMEOUT$/,
  },
]
const POLICIES = ['tempfail', 'accept'] as const
/** The worst moment under both, the others in turn: each case needs a milter of its own, which takes a while to start. */
const CASES = MOMENTS.flatMap((moment, n) =>
  POLICIES.flatMap((onFailure, m) =>
    m === n % 2 || moment.name === 'killed with half of a body sent' ? { ...moment, onFailure } : [],
  ),
)
type Case = (typeof CASES)[number]

const BODY = 'Old body\r\nof two lines\r\n'
const STAMPS = { 'X-First': String(BODY.length), 'X-Last': String(BODY.length) }

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind, 'pymilter')(`behind ${kind}, a milter`, () => {
    const expected = new Map<string, Expected>()
    const hosts = new Map<Case, RunningHost>()
    const milters = new Map<Case, Milter>()
    let attached: Attached

    beforeAll(async () => {
      await Promise.all(
        CASES.map(async each => {
          const milter = await startMilter('pymilter', `unix:${tempDir('doomed')}/milter`)
          const timeouts = { connect: 10, command: 20, end: each.signal === undefined ? 20 : 2 }
          const doomed = socket('doomed', milter.address, { onFailure: each.onFailure, timeouts })
          milters.set(each, milter)
          hosts.set(each, await startHost({ filters: [stamp('X-First'), doomed, stamp('X-Last')] }))
        }),
      )
      attached = await attach(
        kind,
        [...hosts.values()].map(({ address }) => address),
        ['accept'],
      )
    })

    describe.concurrent('that is', () => {
      test.for(CASES)('$name costs one message what it should with onFailure $onFailure', async each => {
        const { name, onFailure, sender = 'alice@example.com', recipient = 'bob@example.net', orders = [] } = each
        const host = hosts.get(each) as RunningHost
        const milter = milters.get(each) as Milter
        const subject = `${name}, ${onFailure}`
        const fields = orders.map(order => `X-Milter-Do: ${order}`)
        const client = await smtp(attached.port(host.address, 'accept'))
        await client.command('EHLO client.example')
        const end = async (): Promise<void> => {
          if (each.event === undefined) await milter.waitForEvent(/helo/)
          else await milter.waitForEvent(each.event)
          // It tells of the event before it does anything about it.
          await sleep(0.3)
          process.kill(milter.pid, each.signal ?? 'SIGKILL')
        }
        if (each.event === undefined) await end()
        const [first] = await Promise.all([
          client.mail({ from: sender, to: recipient, data: letter(subject, BODY, fields) }),
          each.event === undefined ? undefined : end(),
        ])
        if (onFailure === 'tempfail') {
          expect(first.last.text).toMatch(/^451 4\.7\.1 /)
          expect(first.last.text).toContain('Service unavailable')
          expect([first.mail, first.rcpt[0], first.data, first.end].filter(Boolean)).toHaveLength(each.replies)
        } else {
          expect(first.last.code, first.last.text).toBe(250)
          expected.set(subject, { marks: STAMPS, body: BODY, held: false, sender, recipient })
        }
        const failures = host.eventsOf('filter-failed')
        expect(failures).toHaveLength(1)
        expect(failures[0]).toMatchObject({ filter: 'doomed', onFailure })
        expect(failures[0]?.code).toMatch(each.code)

        if (each.signal === 'SIGSTOP') process.kill(milter.pid, 'SIGCONT')
        else await startMilter('pymilter', milter.address)
        await host.waitForMilters()
        if (each.replies === 2) await client.command('RSET')
        const next = await client.mail({
          from: 'alice@example.com',
          to: 'bob@example.net',
          data: letter(`after ${subject}`, BODY),
        })
        expect(next.end?.code, next.last.text).toBe(250)
        const marks = { ...STAMPS, 'X-Rig-Milter': 'pymilter' }
        expected.set(`after ${subject}`, { marks, body: BODY, held: false })
        await client.quit()
        expect(host.eventsOf('filter-failed')).toHaveLength(1)
      })
    })

    test('leaves all mail where it should be, complete, and nothing else', async () => {
      await checkMail(attached.mta, expected)
    })

    test('never gives the MTA anything to say against it', async () => {
      expect(await milterComplaints(attached.mta)).toEqual([])
    })
  })
}
