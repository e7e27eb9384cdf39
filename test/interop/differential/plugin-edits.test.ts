// Edits of a plugin against the same edits by a milter attached to the MTA itself: what is delivered must be the same to the byte, with
// the same envelope.

import { definePlugin } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import { requirePrograms } from '../harness/index.ts'
import { attach } from './attachments.ts'
import { compare, EditRuns, type Result, scripted, withoutDoubles } from './edits.ts'
import { orderedMilter } from './ordered-milter.ts'
import { type CallCase, callCase, perform, stepsOf } from './plugin-edits.ts'
import { Chance, SEED } from './random.ts'
import { parts, smallerMails } from './shrink.ts'

const COUNT = 120
const HDR_LEADSPC = 0x100000

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`edits of a plugin on ${kind}`, () => {
    test(`come out as those of a milter attached directly (seed ${SEED})`, async () => {
      const milter = await orderedMilter({ protocol: HDR_LEADSPC })
      const orders = new Map<string, readonly CallCase[]>()
      const plugin = definePlugin({
        name: 'editor',
        connection: () => ({ messages: 0 }),
        setup: () => ({
          end(event) {
            const what = orders.get(event.client.address)?.[event.connection.messages++]
            if (what !== undefined) perform(event, what)
          },
        }),
      })
      const host = await startHost({ filters: [plugin()] })
      const runs = new EditRuns(await attach(kind, { direct: [milter.address], plugin: [host.address] }))
      const run = async (cases: readonly CallCase[]): Promise<[Result, Result][]> => {
        const [direct = [], behind = []] = await runs.run(cases, ['direct', 'plugin'], (client, group) => {
          milter.order(client, scripted(group.map(stepsOf)))
          orders.set(client, group)
        })
        expect([direct.length, behind.length]).toEqual([cases.length, cases.length])
        return behind.map((result, index) => {
          const expected = direct[index] as Result
          return [kind === 'postfix' ? withoutDoubles(expected, result) : expected, result]
        })
      }
      const chance = new Chance(SEED)
      const cases = Array.from({ length: COUNT }, () => callCase(chance))
      const smaller = ({ mail, calls }: CallCase): CallCase[] => [
        ...parts(calls).map(less => ({ mail, calls: less })),
        ...smallerMails(mail).map(less => ({ mail: less, calls })),
      ]
      const { expected, received } = await compare('a plugin', cases, run, smaller)
      expect(received).toEqual(expected)
      expect(host.eventsOf('filter-failed')).toEqual([])
    }, 300_000)
  })
}
