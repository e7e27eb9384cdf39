// Every verdict at every stage: the same SMTP replies, in this message and in those after it, and the same mail delivered or held,
// whether a milter is attached to the MTA, the same milter stands behind milterhost, or a plugin in milterhost says the same.

import { socket } from 'milterhost'
import { definePlugin, type Hooks } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import { requirePrograms, type Step } from '../harness/index.ts'
import { attach, masked, type Settled } from './attachments.ts'
import { DIFFERENCES, differenceFor } from './differences.ts'
import { clients, type Orders, orderedMilter } from './ordered-milter.ts'
import { type SessionLog, session, together } from './session.ts'
import { CASES, linesOf, type VerdictCase } from './verdicts.ts'

const SKIP = 0x400

type Way = 'direct' | 'behind' | 'plugin'

/** What one way in came to, as text to be compared. */
interface Came {
  transcript: string[]
  /** Of each message the MTA took: held, dropped, or as delivered and to whom. */
  messages: string[]
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`every verdict at every stage, on ${kind}`, () => {
    test('is the same attached directly, behind milterhost, and as a plugin', async () => {
      const milter = await orderedMilter({ protocol: SKIP })
      const plugin = obedientPlugin()
      const at = await attach<Way>(kind, {
        direct: [milter.address],
        behind: [(await startHost({ filters: [socket('milter', milter.address)] })).address],
        plugin: [(await startHost({ filters: [plugin.entry] })).address],
      })
      const address = clients()
      const run = async (way: Way, what: VerdictCase, orders: Orders): Promise<SessionLog> => {
        const client = address.next().value
        milter.order(client, orders)
        plugin.order(client, what)
        return session(at.port[way], client, linesOf(what))
      }
      const runs = await together(CASES, 6, async what => {
        const difference = differenceFor(kind, what.name)
        const own = ordersOf(what)
        const instead = difference && ordersOf(what, difference.instead)
        return {
          what,
          difference,
          expected: await run('direct', what, instead ?? own),
          unaltered: difference && !difference.crashes ? await run('direct', what, own) : undefined,
          behind: await run('behind', what, own),
          plugin: what.plugin && (await run('plugin', what, own)),
        }
      })
      const settled = await at.settled()
      const wrong: Record<string, Came> = {}
      const right: Record<string, Came> = {}
      const needless = new Set(DIFFERENCES.filter(({ kinds, crashes }) => kinds.includes(kind) && !crashes))
      for (const { what, difference, expected, unaltered, behind, plugin } of runs) {
        const should = came(expected, settled)
        for (const [way, log] of Object.entries({ behind, plugin })) {
          const is = log === undefined ? should : came(log, settled)
          if (equal(is, should)) continue
          wrong[`${what.name}, ${way}`] = is
          right[`${what.name}, ${way}`] = should
        }
        if (difference && unaltered && !equal(came(unaltered, settled), should)) needless.delete(difference)
      }
      expect(wrong).toEqual(right)
      expect((await at.mta.log()).split('\n').filter(line => /panic:|throttling/.test(line))).toEqual([])
      expect([...needless]).toEqual([])
    }, 300_000)
  })
}

const equal = (a: Came, b: Came): boolean => JSON.stringify(a) === JSON.stringify(b)

/** What the milter does in the first message of the session. */
const ordersOf =
  ({ at, which, steps }: VerdictCase, instead: Step[] | 'refuse on' = steps): Orders =>
  moment => {
    if (moment.message > 1) return undefined
    if (instead === 'refuse on') return moment.at === at || moment.past.has(at) ? steps : undefined
    return moment.at === at && (which === 'every' || moment.seen === which) ? instead : undefined
  }

function came({ transcript, ended }: SessionLog, { deliveries, held }: Settled): Came {
  const messages = ended.map(({ id }) => {
    if (id === undefined) return 'not taken'
    if (held.has(id)) return 'held'
    const out = deliveries.get(id) ?? []
    return out
      .map(({ raw, sender, recipients }) => `<${sender}> to ${recipients}\n${masked(raw.toString('latin1'))}`)
      .join()
  })
  return { transcript, messages }
}

/** A plugin with all hooks, that answers in each session as ordered for its client, in the first message only. */
function obedientPlugin(): {
  entry: ReturnType<ReturnType<typeof definePlugin>>
  order(client: string, what: VerdictCase): void
} {
  const orders = new Map<string, VerdictCase>()
  interface Seen {
    message: number
    hooks: Map<string, number>
  }
  const plugin = definePlugin({
    name: 'obedient',
    connection: (): Seen => ({ message: 0, hooks: new Map() }),
    setup: () => {
      const hook =
        (name: string) =>
        (event: { client: { address: string }; connection: Seen }): never => {
          const { connection, client } = event
          if (name === 'mail') {
            connection.message++
            connection.hooks.clear()
          }
          const seen = connection.hooks.get(name) ?? 0
          connection.hooks.set(name, seen + 1)
          const what = orders.get(client.address)
          const here =
            what?.plugin?.hook === name && connection.message <= 1 && (what.which === 'every' || seen === what.which)
          return (here ? what.plugin?.answer : undefined) as never
        }
      const names = ['connect', 'helo', 'mail', 'rcpt', 'data', 'headers', 'body', 'end'] as const
      return Object.fromEntries(names.map(name => [name, hook(name)])) as Hooks<Seen>
    },
  })
  return { entry: plugin(), order: (client, what) => void orders.set(client, what) }
}
