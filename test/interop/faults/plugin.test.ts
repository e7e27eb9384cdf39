// A plugin that fails in a hook, in every way and under every `onFailure`. A second session of each host goes on with its mail all
// the while and notices nothing.

import { reject } from 'milterhost/plugin'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunningHost } from '../harness/host.ts'
import { type MtaClient, mtaClient } from '../harness/index.ts'
import { type Hosts, hostsFor, newClient, type OnFailure, POLICIES, steadily } from './chain.ts'
import { failsOnce, greeted, PLUGIN_WELL, passes, sessionOf } from './conversation.ts'
import {
  FAULTS,
  type FaultyPlugin,
  faultyPlugin,
  HALF_DONE,
  HALF_DONE_HANGS,
  HANGS,
  HOOKS,
  type Hook,
  type PluginFault,
  promise,
} from './plugin-fault.ts'

let plugin: FaultyPlugin
let hosts: Hosts
/** The same with time limits so short that a test may wait for them. */
let hasty: Hosts
const beside: { stop(): Promise<number> }[] = []

const start = (timeouts: { command: number; end: number }): Promise<Hosts> =>
  hostsFor(onFailure => plugin.entry(undefined, { onFailure, timeouts }))

beforeAll(async () => {
  plugin = faultyPlugin()
  hosts = await start({ command: 30, end: 60 })
  hasty = await start({ command: 1, end: 1 })
  for (const host of Object.values(hosts)) {
    const client = await greeted(host, newClient())
    beside.push(steadily(() => passes(client, PLUGIN_WELL)))
  }
})

afterAll(async () => {
  for (const session of beside) expect(await session.stop()).toBeGreaterThan(10)
})

interface Case extends PluginFault {
  hook: Hook
}

const inHooks = (hooks: readonly Hook[], faults: readonly PluginFault[]): Case[] =>
  hooks.flatMap(hook => faults.map(fault => ({ hook, ...fault })))

const ALL = Object.keys(HOOKS) as Hook[]
const AT_ONCE: readonly Case[] = [...inHooks(ALL, FAULTS), ...inHooks(['end'], HALF_DONE)]
const BY_THE_CLOCK: readonly Case[] = [...inHooks(ALL, HANGS), ...inHooks(['end'], HALF_DONE_HANGS)]

/** Waiting costs time: the ways to be slow are told apart under one policy, under the others a plugin just never answers. */
const waitedFor = (onFailure: OnFailure): readonly Case[] =>
  onFailure === 'tempfail' ? BY_THE_CLOCK : BY_THE_CLOCK.filter(({ name }) => name.startsWith('never answers'))

const fails = async ({ hook, act, code }: Case, host: RunningHost, onFailure: OnFailure): Promise<void> => {
  const address = newClient()
  plugin.arm(address, hook, act)
  await failsOnce({ host, address, at: HOOKS[hook], onFailure, code, well: PLUGIN_WELL })
}

describe.concurrent.each(POLICIES)('with onFailure %s', onFailure => {
  test.for(AT_ONCE)('a plugin that $name in $hook costs this message what it should, and the next one nothing', each =>
    fails(each, hosts[onFailure], onFailure),
  )

  test.for(waitedFor(onFailure))('a plugin that $name in $hook is given up at its time limit', each =>
    fails(each, hasty[onFailure], onFailure),
  )
})

describe('a plugin that answers twice', () => {
  test.each(ALL)('has its first answer counted in %s: it lets the message go on', async hook => {
    const address = newClient()
    plugin.arm(address, hook, () =>
      promise((resolve, refuse) => {
        resolve()
        resolve(reject('second thoughts'))
        refuse(new Error('third thoughts'))
        setTimeout(() => resolve(reject('late thoughts')), 10)
      }),
    )
    const client = await greeted(hosts.tempfail, address)
    if (hook === 'end') {
      const { verdict } = await client.message({
        from: '<a@example.com>',
        to: ['<b@example.net>'],
        raw: 'X: y\r\n\r\n',
      })
      expect(verdict.command).toBe('c')
    } else await passes(client, PLUGIN_WELL)
    await passes(client, PLUGIN_WELL)
    await client.quit()
    const session = sessionOf(hosts.tempfail, address)
    expect(hosts.tempfail.eventsOf('filter-failed').filter(event => event.session === session)).toEqual([])
  })

  test.each(ALL)('has its first answer counted in %s: it refuses', async hook => {
    const address = newClient()
    plugin.arm(address, hook, () =>
      promise(resolve => {
        resolve(reject('first thoughts'))
        resolve()
      }),
    )
    const client = await greetedOrRefused(address)
    const { verdict } = await client.message({
      from: '<a@example.com>',
      to: ['<b@example.net>'],
      raw: 'X: y\r\n\r\nz\r\n',
    })
    expect(verdict.command + verdict.data.toString('latin1')).toBe('y550 5.7.1 first thoughts\0')
    client.abort()
    // A refusal of the connection holds for all of it.
    if (hook !== 'connect' && hook !== 'helo') await passes(client, PLUGIN_WELL)
    await client.quit()
  })
})

async function greetedOrRefused(address: string): Promise<MtaClient> {
  const client = await mtaClient(hosts.tempfail.address)
  await client.negotiate()
  await client.connect('client.example', address)
  await client.helo()
  return client
}
