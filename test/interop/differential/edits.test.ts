// Edits of a milter behind milterhost against the same milter attached to the MTA itself: random scripts on random messages, and what
// is delivered must be the same to the byte, with the same envelope. Then two editing milters in sequence, against the MTA's own chain.

import { socket } from 'milterhost'
import { expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import { requirePrograms } from '../harness/index.ts'
import { attach } from './attachments.ts'
import { type EditCase, editCase } from './edit-scripts.ts'
import { compare, EditRuns, type Result, scripted, withoutDoubles } from './edits.ts'
import { orderedMilter } from './ordered-milter.ts'
import { Chance, SEED } from './random.ts'
import { smallerCases } from './shrink.ts'

const ALONE = 130
const IN_SEQUENCE = 70
const HDR_LEADSPC = 0x100000

/** Which milters, by whether they asked for leading spaces. */
const CHAINS: [name: string, leadingSpace: boolean[]][] = [
  ['plain', [false]],
  ['with leading spaces', [true]],
  ['plain, then with leading spaces', [false, true]],
  ['with leading spaces, then plain', [true, false]],
]

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`edits on ${kind}`, () => {
    test(`come out as those of milters attached directly (seed ${SEED})`, async () => {
      const ways: Record<string, string[]> = {}
      const chains = []
      for (const [name, leadingSpace] of CHAINS) {
        const milters = []
        for (const space of leadingSpace) milters.push(await orderedMilter({ protocol: space ? HDR_LEADSPC : 0 }))
        const filters = milters.map(({ address }, index) => socket(`milter${index}`, address, { headerIndex: kind }))
        // Of two hosts one keeps hardly a body in memory.
        const host = await startHost({ filters, spool: leadingSpace[0] ? { memory: 16 } : {} })
        ways[`${name}: direct`] = milters.map(({ address }) => address)
        ways[`${name}: behind`] = [host.address]
        chains.push({ name, leadingSpace, milters })
      }
      const runs = new EditRuns(await attach(kind, ways))
      const chance = new Chance(SEED)
      const all = { expected: {}, received: {} }
      for (const { name, leadingSpace, milters } of chains) {
        const run = async (cases: readonly EditCase[]): Promise<[Result, Result][]> => {
          const [direct = [], behind = []] = await runs.run(
            cases,
            [`${name}: direct`, `${name}: behind`],
            (client, group) => {
              for (const [index, milter] of milters.entries()) {
                milter.order(client, scripted(group.map(({ scripts }) => scripts[index])))
              }
            },
          )
          expect([direct.length, behind.length]).toEqual([cases.length, cases.length])
          return behind.map((result, index) => {
            const expected = direct[index] as Result
            return [kind === 'postfix' ? withoutDoubles(expected, result) : expected, result]
          })
        }
        const count = milters.length === 1 ? ALONE : IN_SEQUENCE
        const cases = Array.from({ length: count }, () => editCase(chance, kind, leadingSpace))
        const { expected, received } = await compare(name, cases, run, smallerCases)
        Object.assign(all.expected, expected)
        Object.assign(all.received, received)
      }
      expect(all.received).toEqual(all.expected)
    }, 300_000)
  })
}
