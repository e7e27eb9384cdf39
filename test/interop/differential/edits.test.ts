// Edits of a milter behind milterhost against the same milter attached to the MTA itself: random scripts on random messages, and what
// is delivered must be the same to the byte, with the same envelope. Then two editing milters in sequence, against the MTA's own chain.

import { socket } from 'milterhost'
import { expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import { requirePrograms } from '../harness/index.ts'
import { attach, type Kind } from './attachments.ts'
import { type EditCase, editCase } from './edit-scripts.ts'
import { EditRuns, type Result } from './edits.ts'
import { type OrderedMilter, orderedMilter } from './ordered-milter.ts'
import { Chance } from './random.ts'
import { smallest } from './shrink.ts'

const SEED = Number(process.env.MILTERHOST_SEED ?? 20_260_730)
const ALONE = 110
const IN_SEQUENCE = 60
const HDR_LEADSPC = 0x100000

/** Which milters, by whether they asked for leading spaces. */
const CHAINS = {
  plain: [false],
  spaced: [true],
  'plain, spaced': [false, true],
  'spaced, plain': [true, false],
} as const

type Chain = keyof typeof CHAINS
type Way = `${Chain} direct` | `${Chain} behind`

const host = async (milters: readonly OrderedMilter[], headerIndex: Kind): Promise<string[]> => {
  const filters = milters.map((milter, index) => socket(`milter${index}`, milter.address, { headerIndex }))
  return [(await startHost({ filters })).address]
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`edits on ${kind}`, () => {
    test(`come out as those of milters attached directly (seed ${SEED})`, async () => {
      const milters = new Map<Chain, OrderedMilter[]>()
      const ways: Partial<Record<Way, string[]>> = {}
      for (const [chain, spaces] of Object.entries(CHAINS) as [Chain, readonly boolean[]][]) {
        const list: OrderedMilter[] = []
        for (const space of spaces) list.push(await orderedMilter({ protocol: space ? HDR_LEADSPC : 0 }))
        milters.set(chain, list)
        ways[`${chain} direct`] = list.map(({ address }) => address)
        ways[`${chain} behind`] = await host(list, kind)
      }
      const runs = new EditRuns(await attach(kind, ways as Record<Way, string[]>))
      const chance = new Chance(SEED)
      const failures: string[] = []
      for (const [chain, spaces] of Object.entries(CHAINS) as [Chain, readonly boolean[]][]) {
        const compare = async (cases: readonly EditCase[]): Promise<[Result, Result][]> => {
          const [direct = [], behind = []] = await runs.run(cases, milters.get(chain) ?? [], [
            `${chain} direct`,
            `${chain} behind`,
          ])
          expect([direct.length, behind.length]).toEqual([cases.length, cases.length])
          return direct.map((result, index) => [result, behind[index] as Result])
        }
        const count = spaces.length === 1 ? ALONE : IN_SEQUENCE
        const cases = Array.from({ length: count }, () =>
          editCase(chance, spaces.length, milter => spaces[milter] as boolean),
        )
        const pairs = await compare(cases)
        // A comparison of what was refused or lost would find nothing.
        expect(pairs.filter(([{ text }]) => text !== '').length).toBeGreaterThan(count * 0.8)
        const wrong = cases.filter((_, index) => !same(pairs[index] as [Result, Result]))
        for (const found of wrong.slice(0, 5)) {
          const small = await smallest(found, async candidates => (await compare(candidates)).map(pair => !same(pair)))
          const [[direct, behind] = []] = await compare([small])
          failures.push(`${chain}: ${wrong.length} of ${count}, as in ${JSON.stringify(small)}`)
          expect.soft(behind, failures.at(-1)).toEqual(direct)
        }
      }
      expect(failures).toEqual([])
    }, 300_000)
  })
}

const same = ([a, b]: [Result, Result]): boolean => JSON.stringify(a) === JSON.stringify(b)
