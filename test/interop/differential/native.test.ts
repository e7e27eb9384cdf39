import { expect, test } from 'vitest'
import { attach } from './attachments.ts'
import { editCase } from './edit-scripts.ts'
import { EditRuns } from './edits.ts'
import { orderedMilter } from './ordered-milter.ts'
import { Chance } from './random.ts'

for (const kind of ['postfix', 'sendmail'] as const)
  test(kind, async () => {
    const milters = [await orderedMilter({ protocol: 0x100000 }), await orderedMilter()]
    const list = milters.map(m => m.address)
    const at = await attach(kind, { a: list, b: list })
    const runs = new EditRuns(at)
    const chance = new Chance(1)
    const cases = Array.from({ length: 200 }, () => editCase(chance, 2, m => m === 0))
    const t0 = performance.now()
    const [a, b] = await runs.run(cases, milters, ['a', 'b'])
    console.log(kind, performance.now() - t0, a!.filter(r => !r.reply.startsWith('250')).map(r => r.reply), a!.filter(r => r.text === '').length, a!.filter(r => /another/.test(r.text)).length)
    expect(b).toEqual(a)
    expect(a!.length).toBe(200)
    for (let i = 0; i < 5; i++) console.log(JSON.stringify(cases[i]), a![i]!.envelope, '\n' + a![i]!.text)
  }, 120000)
