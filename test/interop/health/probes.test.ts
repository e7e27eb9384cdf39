// What real milters make of probes, and of a limit to their connections behind a real MTA.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { socket } from 'milterhost'
import { expect, test } from 'vitest'
import { filterAt } from '../../bridge/milter/play.ts'
import { arrived, letter } from '../chain/letter.ts'
import { startHost } from '../harness/host.ts'
import {
  type MilterKind,
  type Program,
  rawMilter,
  requirePrograms,
  smtp,
  startMilter,
  startPostfix,
} from '../harness/index.ts'

const never = new AbortController().signal

const KINDS: [MilterKind, Program][] = [
  ['opendkim-verify', 'opendkim'],
  ['pymilter', 'pymilter'],
  ['perl', 'perl-milter'],
]

for (const [kind, program] of KINDS) {
  requirePrograms(program)(`a hundred probes of ${kind}`, () => {
    test('are answered, and it has nothing to say about them', async () => {
      const milter = await startMilter(kind)
      const filter = filterAt(milter.address)
      const said = (): Promise<string> => readFile(join(milter.dir, 'milter.log'), 'latin1')
      await filter.learn(never)
      const before = await said()
      for (let n = 0; n < 100; n++) await filter.learn(never)
      const { since } = filter.health()
      expect(filter.health()).toEqual({ state: 'up', reason: 'it answers', since })
      expect(await said()).toBe(before)
      process.kill(milter.pid, 0)
    })
  })
}

requirePrograms('postfix')('a milter that bears two connections, behind Postfix', () => {
  test('never has three from mail, and ten clients at once are all served', async () => {
    const milter = await rawMilter({ on: { E: [['sleep', 0.05], ['h', 'X-Seen', 'yes'], 'c'] } })
    const host = await startHost({ filters: [socket('narrow', milter.address, { concurrency: 2 })] })
    const postfix = await startPostfix({ milters: [`{ ${host.address}, default_action=accept }`] })
    const clients = await Promise.all(Array.from({ length: 10 }, () => smtp(postfix.port)))
    const codes = await Promise.all(
      clients.flatMap(async (client, n) => {
        const told: (number | undefined)[] = []
        for (const m of [1, 2]) {
          const data = letter(`narrow ${n} ${m}`)
          told.push((await client.mail({ from: 'alice@example.com', to: 'bob@example.net', data })).end?.code)
        }
        return told
      }),
    )
    expect(codes.flat()).toEqual(Array.from({ length: 20 }, () => 250))
    const deliveries = await postfix.waitForDeliveries(20)
    expect(deliveries.map(delivery => arrived(delivery).all('X-Seen').join())).toEqual(Array(20).fill('yes'))
    await Promise.all(clients.map(client => client.quit()))
    // A connection is given back when its message is answered; that it is closed is seen a moment later.
    const inHand = new Set<number>()
    let most = 0
    for (const { direction, connection, command } of milter.log) {
      if (direction === 'in' && command === 'M') inHand.add(connection)
      if (direction === 'out' && command === 'h') inHand.delete(connection)
      most = Math.max(most, inHand.size)
    }
    expect(most).toBe(2)
  })
})
