/** What is checked of a plugin: its definition where it is written, its hooks when the configuration is loaded. */
import { expect, test } from 'vitest'
import { isFilterEntry } from '../../../src/host/config/entry.ts'
import type { Needs } from '../../../src/host/filter.ts'
import { PluginFilter } from '../../../src/host/plugin/filter.ts'
import { definePlugin, type Hooks } from '../../../src/plugin.ts'
import { converse, create, failureOf, withHooks } from './harness.ts'

const setup = (): Hooks => ({})

test.each<[what: string, definition: unknown, code: string, told: string]>([
  ['nothing', undefined, 'PLUGIN_DEFINITION', 'name must be'],
  ['no name', { setup }, 'PLUGIN_DEFINITION', 'name must be'],
  ['a name with a blank', { name: 'a b', setup }, 'PLUGIN_DEFINITION', 'name must be'],
  ['no setup', { name: 'a' }, 'PLUGIN_DEFINITION', 'setup must be a function'],
  ['options that are no schema', { name: 'a', options: { limit: 1 }, setup }, 'PLUGIN_DEFINITION', 'Standard Schema'],
  [
    'state that is no function',
    { name: 'a', connection: { n: 0 }, setup },
    'PLUGIN_DEFINITION',
    'connection must be a',
  ],
  ['a hook beside setup', { name: 'a', setup, rcpt() {} }, 'PLUGIN_DEFINITION', 'rcpt belongs into the object'],
  ['a misspelt key', { name: 'a', setup, conection: () => 1 }, 'PLUGIN_DEFINITION', 'did you mean "connection"?'],
  [
    'another API',
    { name: 'a', api: 2, setup },
    'PLUGIN_API',
    'built for plugin API 2, this milterhost has 1: install a newer milterhost',
  ],
])('a definition with %s is refused where it is written', (_what, definition, code, told) => {
  const call = (): unknown => definePlugin(definition as never)
  expect(call).toThrow(expect.objectContaining({ code }))
  expect(call).toThrow(told)
})

test.each<[what: string, hooks: unknown, told: string]>([
  ['nothing', undefined, 'setup must return an object with the hooks'],
  ['a misspelt hook', { rcptt() {} }, 'there is no hook "rcptt"; did you mean "rcpt"?'],
  ['a hook of another system', { hook_queue() {} }, 'there are connect, helo, mail, rcpt'],
  ['a hook that is no function', { rcpt: true }, 'rcpt is not a function'],
])('hooks with %s are refused when the configuration is loaded', async (_what, hooks, told) => {
  const error = await failureOf(() => create(withHooks(hooks as Hooks)()))
  expect(error).toMatchObject({ code: 'PLUGIN_HOOK' })
  expect(error?.message).toContain('plugin probe')
  expect(error?.message).toContain(told)
})

test('a hook that depends on an option may be undefined', async () => {
  const filter = await create(withHooks({ rcpt: undefined, end() {} } as never)())
  expect(filter.needs()?.answers.size).toBe(0)
})

test('an object with helpers beside its hooks may be a class', async () => {
  class Counting {
    #n = 0
    next(): string {
      return String(++this.#n)
    }
    end({ edit }: Parameters<NonNullable<Hooks['end']>>[0]): void {
      edit.appendHeader('X-N', this.next())
    }
  }
  const conversation = await converse(withHooks(new Counting()))
  expect((await conversation.deliver()).edits).toMatchObject([{ value: ' 1' }])
})

test('the factory carries name and API, and makes an entry that runs nothing before it is created', async () => {
  let ran = 0
  const plugin = definePlugin({
    name: 'lazy',
    version: '1.2.3',
    setup() {
      ran++
      return {}
    },
  })
  expect({ ...plugin }).toEqual({ api: 1, pluginName: 'lazy' })
  const entry = plugin({}, { name: 'other', onFailure: 'accept' })
  expect(isFilterEntry(entry)).toBe(true)
  expect(entry).toMatchObject({
    kind: 'plugin',
    defaultName: 'lazy',
    describe: 'lazy 1.2.3',
    options: { name: 'other', onFailure: 'accept' },
  })
  expect(ran).toBe(0)
  await create(entry)
  expect(ran).toBe(1)
})

const needs = async (
  hooks: Hooks,
): Promise<Record<keyof Omit<Needs, 'macros' | 'refusedRecipients' | 'authResults'>, string[]>> => {
  const { events, answers, edits } = (await create(withHooks(hooks)())).needs()!
  return { events: [...events], answers: [...answers], edits: [...edits] }
}

test('what the MTA is asked for follows from the hooks', async () => {
  expect(await needs({})).toEqual({ events: [], answers: [], edits: [] })
  expect(await needs({ helo() {} })).toEqual({ events: ['connect', 'helo'], answers: ['helo'], edits: [] })
  expect(await needs({ rcpt() {} })).toEqual({
    events: ['connect', 'mail', 'rcpt'],
    answers: ['rcpt'],
    edits: ['quarantine'],
  })
  expect(await needs({ settled() {} })).toEqual({ events: ['connect', 'mail'], answers: [], edits: [] })
  expect(await needs({ headers() {} })).toEqual({
    events: ['connect', 'mail', 'rcpt', 'header', 'eoh'],
    answers: [],
    edits: ['quarantine'],
  })
  const { events, answers, edits } = await needs({ end() {} })
  expect(events).toEqual(['connect', 'mail', 'rcpt', 'header', 'eoh', 'body'])
  expect(answers).toEqual([])
  expect(edits).toContain('replaceBody')
  expect(edits).toContain('quarantine')
})

test('what setup throws says whose it was, and what setup had opened is closed again', async () => {
  const closed: number[] = []
  const plugin = definePlugin({
    name: 'broken',
    async setup(host) {
      host.onClose(() => void closed.push(1))
      host.onClose(() => void closed.push(2))
      throw new Error('no database')
    },
  })
  const error = await failureOf(() => create(plugin()))
  expect(error).toMatchObject({ code: 'PLUGIN_SETUP' })
  expect(error?.message).toContain('setup of plugin broken failed: no database')
  expect(closed).toEqual([2, 1])
})

test('what was opened is closed in reverse order, and one failure does not keep the others open', async () => {
  const closed: number[] = []
  const plugin = definePlugin({
    name: 'stores',
    setup(host) {
      host.onClose(() => void closed.push(1))
      host.onClose(() => {
        throw null
      })
      host.onClose(async () => void closed.push(3))
      return {}
    },
  })
  const filter = await create(plugin())
  await filter.close()
  expect(closed).toEqual([3, 1])
})

test('probe runs every health probe and names the one that failed', async () => {
  let healthy = true
  const plugin = definePlugin({
    name: 'stores',
    version: '1.0.0',
    setup(host) {
      host.health('redis', () => {})
      host.health('database', async () => {
        if (!healthy) throw new Error('connection refused')
      })
      return { end() {} }
    },
  })
  const filter = await create(plugin())
  const report = await filter.probe(new AbortController().signal)
  expect(report.events).toEqual(['end'])
  expect([...report.facts]).toEqual([
    ['plugin', 'stores 1.0.0'],
    ['health', 'redis ok, database ok'],
  ])
  healthy = false
  const error = await failureOf(() => filter.probe(new AbortController().signal))
  expect(error).toMatchObject({ code: 'PLUGIN_UNHEALTHY' })
  expect(error?.message).toContain('health probe database failed: connection refused')
})

test('a probe that never answers ends with the signal', async () => {
  const plugin = definePlugin({
    name: 'stores',
    setup(host) {
      host.health('redis', () => new Promise(() => {}))
      return {}
    },
  })
  const filter = await create(plugin())
  expect(filter).toBeInstanceOf(PluginFilter)
  const controller = new AbortController()
  const failure = failureOf(() => filter.probe(controller.signal))
  controller.abort(new Error('5 s are over'))
  expect(await failure).toMatchObject({ code: 'PLUGIN_UNHEALTHY' })
})
