// Failures behind real MTAs, every fault and every stage at least once, and every stage under every `onFailure`: what the SMTP client
// is told, that the next message of the same SMTP session passes, and what became of all the mail in the end. Each case runs with
// the MTA set to refuse and set to let through what a broken milter cannot judge: nobody may see a difference.

import { socket } from 'milterhost'
import { beforeAll, describe, expect, test } from 'vitest'
import { letter } from '../chain/letter.ts'
import type { RunningHost } from '../harness/host.ts'
import { requirePrograms, type SmtpClient, smtp, tempDir } from '../harness/index.ts'
import { type Hosts, hostsFor, newClient, type OnFailure, POLICIES, steadily } from './chain.ts'
import {
  COMMANDS,
  EARLY_EDITS,
  FAULTS,
  type FaultyMilter,
  faultyMilter,
  HALF_DONE,
  HALF_DONE_HANGS,
  HANGS,
  type MilterFault,
  NEW_BODY,
} from './milter-fault.ts'
import {
  ATTACHMENTS,
  type Attached,
  type AttachedWith,
  attach,
  checkMail,
  type Expected,
  milterComplaints,
} from './mtas.ts'
import * as pluginFault from './plugin-fault.ts'
import { type FaultyPlugin, faultyPlugin, HOOKS, type Hook, type PluginFault } from './plugin-fault.ts'
import { REFUSALS, takeAway } from './refusal.ts'

interface Case {
  name: string
  at: string
  onFailure: OnFailure
  mark: 'X-Milter' | 'X-Plugin'
  arm(address: string): void
}

let milter: FaultyMilter
let plugin: FaultyPlugin
const HOOK_NAMES = Object.keys(HOOKS) as Hook[]
const take = <T>(list: readonly T[], n: number): T => list[n % list.length] as T

const milterCase = (at: string, { name, steps }: MilterFault, onFailure: OnFailure): Case => ({
  name: `a milter that ${name}`,
  at,
  onFailure,
  mark: 'X-Milter',
  arm: address => milter.arm(address, at, steps),
})
const pluginCase = (hook: Hook, { name, act }: PluginFault, onFailure: OnFailure): Case => ({
  name: `a plugin that ${name}`,
  at: HOOKS[hook],
  onFailure,
  mark: 'X-Plugin',
  arm: address => plugin.arm(address, hook, act),
})

const CASES: readonly Case[] = [
  ...COMMANDS.flatMap(at => POLICIES.map(policy => milterCase(at, FAULTS[0] as MilterFault, policy))),
  ...HOOK_NAMES.flatMap(at => POLICIES.map(policy => pluginCase(at, pluginFault.FAULTS[0] as PluginFault, policy))),
  ...FAULTS.slice(1).map((fault, n) => milterCase(take(COMMANDS, n), fault, take(POLICIES, n))),
  ...EARLY_EDITS.map((fault, n) => milterCase(take(['B', 'M', 'R'], n), fault, take(POLICIES, n + 1))),
  ...HALF_DONE.map((fault, n) => milterCase('E', fault, take(POLICIES, n))),
  ...HANGS.map((fault, n) => milterCase(take(['R', 'C', 'E'], n), fault, take(POLICIES, n))),
  ...HALF_DONE_HANGS.map((fault, n) => milterCase('E', fault, take(POLICIES, n + 1))),
  ...pluginFault.FAULTS.slice(1).map((fault, n) => pluginCase(take(HOOK_NAMES, n), fault, take(POLICIES, n))),
  ...pluginFault.HALF_DONE.map((fault, n) => pluginCase('end', fault, take(POLICIES, n))),
  ...pluginFault.HANGS.map((fault, n) => pluginCase(take(['end', 'helo', 'data'], n), fault, take(POLICIES, n))),
  ...pluginFault.HALF_DONE_HANGS.map((fault, n) => pluginCase('end', fault, take(POLICIES, n + 1))),
]

const OLD_BODY = 'Old body\r\nof two lines\r\n'
const TOLD_AT: Readonly<Record<string, keyof typeof REACHED>> = { C: 'M', H: 'M', L: 'E', N: 'E', B: 'E' }
/** Replies that the client has when the one at that command is the last. */
const REACHED = { M: [1, 0, 0, 0], R: [1, 1, 0, 0], T: [1, 1, 1, 0], E: [1, 1, 1, 1] }

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`behind ${kind}`, () => {
    const expected = new Map<string, Expected>()
    const beside: { stop(): Promise<number> }[] = []
    const hosts = {} as Record<Case['mark'], Hosts>
    let attached: Attached
    let count = 0

    beforeAll(async () => {
      milter = await faultyMilter(`unix:${tempDir('faulty')}/milter`)
      plugin = faultyPlugin()
      // Long enough for a busy machine, and short enough to be waited for.
      const timeouts = { connect: 2, command: 2, end: 3 }
      hosts['X-Milter'] = await hostsFor(onFailure => socket('faulty', milter.address, { onFailure, timeouts }))
      hosts['X-Plugin'] = await hostsFor(onFailure => plugin.entry(undefined, { onFailure, timeouts }))
      const all = Object.values(hosts).flatMap(each => Object.values(each)) as RunningHost[]
      attached = await attach(
        kind,
        all.map(({ address }) => address),
      )
      for (const mark of ['X-Milter', 'X-Plugin'] as const) {
        const client = await smtp(attached.port(hosts[mark].tempfail.address, 'accept'), { localAddress: newClient() })
        beside.push(steadily(() => passes(client, mark), 0.2))
      }
    })

    const send = (client: SmtpClient, subject: string): ReturnType<SmtpClient['mail']> =>
      client.mail({ from: 'alice@example.com', to: 'bob@example.net', data: letter(subject, OLD_BODY) })

    async function passes(client: SmtpClient, mark: Case['mark']): Promise<void> {
      const subject = `well ${++count}`
      const { last, end } = await send(client, subject)
      expect(end?.code, last.text).toBe(250)
      const marks = { 'X-First': `${OLD_BODY.length}`, 'X-Last': `${NEW_BODY.length}`, [mark]: 'done' }
      expected.set(subject, { marks, body: NEW_BODY, held: false })
    }

    async function failsOnce(
      each: Omit<Case, 'arm' | 'name'>,
      withAction: AttachedWith,
      address: string,
      heal: (() => void) | undefined = undefined,
    ): Promise<void> {
      const { at, onFailure, mark } = each
      const client = await smtp(attached.port(hosts[mark][onFailure].address, withAction), { localAddress: address })
      const subject = `fault ${++count}`
      const { mail, rcpt, data, end, last } = await send(client, subject)
      if (onFailure === 'tempfail' || onFailure === 'reject') {
        const told = TOLD_AT[at] ?? (at as keyof typeof REACHED)
        expect([mail, rcpt[0], data, end].map(reply => (reply === undefined ? 0 : 1))).toEqual(REACHED[told])
        expect(last.text).toMatch(onFailure === 'tempfail' ? /^451 4\.7\.1 / : /^550 5\.7\.1 /)
        expect(last.text).toContain('Service unavailable')
        // Both MTAs keep the envelope of a message that was refused at RCPT or DATA.
        if (told === 'R' || told === 'T') expect((await client.command('RSET')).code).toBe(250)
      } else {
        expect(end?.code, last.text).toBe(250)
        const marks = { 'X-First': `${OLD_BODY.length}`, 'X-Last': `${OLD_BODY.length}` }
        expected.set(subject, { marks, body: OLD_BODY, held: onFailure === 'quarantine' })
      }
      if (heal !== undefined) {
        heal()
        await hosts[mark][onFailure].waitForMilters()
      }
      await passes(client, mark)
      await client.quit()
    }

    describe.concurrent.each(ATTACHMENTS)('attached with %s', withAction => {
      test.for(CASES)('$name at $at costs one message what it should with onFailure $onFailure', async each => {
        const address = newClient()
        each.arm(address)
        await failsOnce(each, withAction, address)
      })
    })

    describe.each(POLICIES)('with onFailure %s', onFailure => {
      const some = ['is absent', 'refuses connections', 'closes', 'hangs', 'answers with version 9']
      test.for(REFUSALS.filter(({ name }) => some.includes(name)))(
        'a milter that $name when it is met',
        async refusal => {
          const heal = refusal.nobody && (await takeAway(milter, refusal.nobody))
          if (refusal.steps) milter.misagree(refusal.steps)
          await failsOnce({ at: 'C', onFailure, mark: 'X-Milter' }, 'accept', newClient(), heal)
        },
      )
    })

    test('the sessions beside them have noticed nothing', async () => {
      for (const session of beside) expect(await session.stop()).toBeGreaterThan(5)
    })

    test('all mail is where it should be, complete, and nothing else', async () => {
      await checkMail(attached.mta, expected)
    })

    test('the MTA has nothing to say against its milter', async () => {
      expect(await milterComplaints(attached.mta)).toEqual([])
    })

    test('each failure was told once', () => {
      for (const [mark, each] of Object.entries(hosts)) {
        for (const host of Object.values(each) as RunningHost[]) {
          const failures = host.eventsOf('filter-failed').map(({ session }) => session)
          expect(new Set(failures).size, mark).toBe(failures.length)
        }
      }
      const failed = Object.values(hosts).flatMap(each => Object.values(each)) as RunningHost[]
      const number = failed.reduce((sum, host) => sum + host.eventsOf('filter-failed').length, 0)
      expect(number).toBe(CASES.length * ATTACHMENTS.length + POLICIES.length * 5)
    })
  })
}
