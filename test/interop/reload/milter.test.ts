// An external milter that milterhost has started, switched off and on and started anew by command while mail flows through a real
// Postfix: the sessions go on, and no message gets past the milter while the chain has it.

import { socket } from 'milterhost'
import { expect, test } from 'vitest'
import { askControl } from '../../../src/daemon/control/client.ts'
import type { ControlRequest, ControlResults } from '../../../src/daemon/control/protocol.ts'
import { arrived } from '../chain/letter.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import { type Postfix, requirePrograms, sleep, startPostfix, until } from '../harness/index.ts'
import { newPidOf, pidOf, type Startable, startable, startLoad } from '../health/load.ts'
import { flow } from './flow.ts'

interface Bench {
  readonly host: RunningHost
  readonly postfix: Postfix
  readonly milter: Startable
  ask<R extends ControlRequest>(request: R): Promise<ControlResults[R['do']]>
  failures(): string[]
}

async function bench(): Promise<Bench> {
  const milter = startable()
  const host = await startHost({
    liveness: 'off',
    filters: [socket('ext', milter.address, { launch: { command: milter.command } })],
  })
  await host.waitForMilters()
  return {
    host,
    milter,
    postfix: await startPostfix({ milters: [host.address] }),
    async ask(request) {
      const { result, close } = await askControl(host.control, request)
      close()
      return result
    },
    failures: () => host.eventsOf('filter-failed').map(({ detail }) => detail),
  }
}

const STAMP = 'X-Rig-Milter'

requirePrograms('postfix', 'pymilter')('a milter that milterhost has started, while mail flows through Postfix', () => {
  test('is disabled and enabled, and no session fails', async () => {
    const { postfix, milter, ask, failures } = await bench()
    const mail = flow(postfix.port)
    for (let turn = 1; turn <= 8; turn++) {
      const word = turn % 2 === 1 ? 'disable' : 'enable'
      expect(await ask({ do: word, filter: 'ext' })).toMatchObject({ changed: true, enabled: word === 'enable' })
      const before = mail.accepted()
      // Enabled again at once it is just ending, and answers until it has.
      const hasty = turn === 3 || turn === 5
      if (hasty) {
        await sleep(turn * 0.02)
        continue
      }
      await until('more mail', () => mail.accepted() >= before + 20)
      await until(`it to be ${word}d`, () => (pidOf(milter) === undefined) === (word === 'disable'))
    }
    await mail.stop()
    expect([mail.trouble, failures()]).toEqual([[], []])
    const deliveries = (await postfix.waitForDeliveries(mail.accepted(), 60)).map(arrived)
    expect(deliveries).toHaveLength(mail.accepted())
    const stamps = deliveries.map(each => each.all(STAMP).length)
    expect([...new Set(stamps)].sort()).toEqual([0, 1])
    expect(Math.min(stamps.filter(one => one === 0).length, stamps.filter(one => one === 1).length)).toBeGreaterThan(20)
  })

  test('is restarted: its messages are told 451, none gets past it, and every session goes on', async () => {
    const { postfix, milter, ask } = await bench()
    const load = await startLoad(postfix.port)
    for (let turn = 1; turn <= 2; turn++) {
      const accepted = (): number => load.told.filter(({ code }) => code === 250).length
      const [before, pid] = [accepted(), pidOf(milter)!]
      expect(await ask({ do: 'restart', filter: 'ext' })).toEqual({ filter: 'ext' })
      await newPidOf(milter, pid)
      await until('more mail', () => accepted() >= before + 20)
    }
    // Each of the open sessions has had one more message through.
    const told = await load.stop()
    expect([...new Set(told.map(({ code }) => code))].filter(code => code !== 250 && code !== 451)).toEqual([])
    const accepted = told.filter(({ code }) => code === 250)
    const deliveries = (await postfix.waitForDeliveries(accepted.length, 60)).map(arrived)
    expect(deliveries.map(each => each.all('Subject')[0]).sort()).toEqual(accepted.map(({ subject }) => subject).sort())
    for (const each of deliveries) expect(each.all(STAMP)).toEqual(['pymilter'])
  })
})
