// Configurations that change while mail flows through a real Postfix: no session fails, and each message saw one of them from its
// beginning to its end.

import { join } from 'node:path'
import { definePlugin } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { formatSocketAddress } from '../../../src/bridge/wire/index.ts'
import { askControl } from '../../../src/daemon/control/client.ts'
import type { ControlRequest, ControlResults } from '../../../src/daemon/control/protocol.ts'
import { startDaemon } from '../../../src/daemon.ts'
import { validateConfig } from '../../../src/host/config/validate.ts'
import { hostError } from '../../../src/host/errors.ts'
import { MetricsRegistry } from '../../../src/host/plugin/metrics.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import type { FilterEntry } from '../../../src/plugin.ts'
import { fakeDns } from '../../../src/testing/dns.ts'
import { LogLines } from '../../bridge/mta/support/mta.ts'
import { arrived } from '../chain/letter.ts'
import { onCleanup, type Postfix, requirePrograms, startPostfix, tempDir, until } from '../harness/index.ts'
import { flow } from './flow.ts'

/** Stamps the number of the configuration that it belongs to, at MAIL and at the end of the message. */
const stamp = (name: string, header: string, configuration: number): FilterEntry =>
  definePlugin({
    name,
    message: () => ({ atMail: 0 }),
    setup: () => ({
      mail(event) {
        event.message.atMail = configuration
      },
      end(event) {
        event.edit.prependHeader(header, `${event.message.atMail} ${configuration}`)
      },
    }),
  })()

interface Bench {
  readonly postfix: Postfix
  readonly events: string[]
  ask<R extends ControlRequest>(request: R): Promise<ControlResults[R['do']]>
  /** Whether the next configuration that is read is broken. */
  broken: boolean
}

async function bench(): Promise<Bench> {
  const dir = tempDir('reload')
  const events: string[] = []
  let configuration = 0
  const made: Omit<Bench, 'postfix'> = {
    events,
    broken: false,
    async ask(request) {
      const { result, close } = await askControl(join(dir, 'control.sock'), request)
      close()
      return result
    },
  }
  const daemon = await startDaemon({
    clock: systemClock,
    log: new LogLines(),
    services: { dns: fakeDns(), metrics: new MetricsRegistry() },
    observe: event => void (event.type === 'filter-failed' && events.push(event.detail)),
    load: async () => {
      if (made.broken) throw hostError('CONFIG_SYNTAX', '/etc/milterhost/milterhost.config.ts:7:3', 'Unexpected "}"')
      configuration++
      return validateConfig(
        {
          listen: { address: `unix:${dir}/socket`, mode: 0o666 },
          spool: { directory: `${dir}/spool` },
          liveness: 'off',
          filters: [stamp('first', 'X-First', configuration), stamp('second', 'X-Second', configuration)],
        },
        'the test',
      )
    },
    control: { place: join(dir, 'control.sock'), overrides: join(dir, 'filters.json'), version: '0', pid: 0, end() {} },
  })
  onCleanup(() => daemon.close())
  const address = formatSocketAddress(daemon.addresses[0]!, 'postfix')
  return Object.assign(made, { postfix: await startPostfix({ milters: [address] }) })
}

requirePrograms('postfix')('while mail flows through Postfix', () => {
  test('50 reloads, every fifth of them refused, fail no session, and each message saw one configuration', async () => {
    const made = await bench()
    const { postfix, ask, events } = made
    const mail = flow(postfix.port)
    for (let reload = 1; reload <= 50; reload++) {
      const before = mail.accepted()
      made.broken = reload % 5 === 0
      if (made.broken) await expect(ask({ do: 'reload' })).rejects.toThrow(/milterhost\.config\.ts:7:3: Unexpected/)
      else expect(await ask({ do: 'reload' })).toMatchObject({ filters: ['first', 'second'] })
      await until('more mail', () => mail.accepted() >= before + 2)
    }
    expect(await ask({ do: 'status' })).toMatchObject({ generation: 41, reload: { failed: { code: 'CONFIG_SYNTAX' } } })
    await mail.stop()
    expect([mail.trouble, events]).toEqual([[], []])
    const deliveries = (await postfix.waitForDeliveries(mail.accepted(), 60)).map(arrived)
    const seen = new Set<string>()
    for (const each of deliveries) {
      const [first = ''] = each.all('X-First')
      const [atMail, atEnd] = first.split(' ')
      expect([atMail, each.all('X-First').length, each.all('X-Second')]).toEqual([atEnd, 1, [first]])
      seen.add(first)
    }
    expect(deliveries).toHaveLength(mail.accepted())
    expect(seen.size).toBeGreaterThan(20)
    await until('older configurations are gone', async () => (await ask({ do: 'status' })).generations === 1)
  })

  test('a filter that is disabled and enabled leaves the chain and comes back, and no session fails', async () => {
    const { postfix, ask, events } = await bench()
    const mail = flow(postfix.port)
    for (let turn = 1; turn <= 10; turn++) {
      const before = mail.accepted()
      const word = turn % 2 === 1 ? 'disable' : 'enable'
      expect(await ask({ do: word, filter: 'second' })).toMatchObject({ changed: true, enabled: word === 'enable' })
      await until('more mail', () => mail.accepted() >= before + 20)
    }
    await mail.stop()
    expect([mail.trouble, events]).toEqual([[], []])
    const deliveries = (await postfix.waitForDeliveries(mail.accepted(), 60)).map(arrived)
    const withSecond = deliveries.filter(each => each.all('X-Second').length === 1)
    const without = deliveries.filter(each => each.all('X-Second').length === 0)
    expect(withSecond.length + without.length).toBe(mail.accepted())
    expect([withSecond.length > 20, without.length > 20]).toEqual([true, true])
    for (const each of withSecond) expect(each.all('X-Second')).toEqual(each.all('X-First'))
    const numbers = (list: typeof deliveries): Set<number> =>
      new Set(list.map(each => Number(each.all('X-First')[0]!.split(' ')[0]) % 2))
    // Odd configurations have the filter and even ones have not: none has it for a part of its mail.
    expect([[...numbers(withSecond)], [...numbers(without)]]).toEqual([[1], [0]])
  })
})
