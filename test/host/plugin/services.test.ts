import { expect, test } from 'vitest'
import { definePlugin, type Host, serviceKey } from '../../../src/plugin.ts'
import { testPlugin } from '../../../src/testing.ts'

interface Greeter {
  greet(): string
}
const greeter = serviceKey<Greeter>('greeter')

const provider = (text: string, name = text) =>
  definePlugin({
    name,
    setup: host => {
      host.provide(greeter, { greet: () => text })
      return {}
    },
  })()

const reader = (seen: (host: Host, when: 'setup' | 'hook') => void) =>
  definePlugin({
    name: 'reader',
    setup: host => {
      seen(host, 'setup')
      return { connect: () => seen(host, 'hook') }
    },
  })()

test('a plugin finds a service by a key of the same name that it made itself, whoever stands first', async () => {
  const found: unknown[] = []
  const look = (host: Host, when: string): void => {
    found.push([when, host.service(serviceKey<Greeter>('greeter'))?.greet()])
  }
  await using before = await testPlugin([reader(look), provider('hello')])
  await before.open().connect()
  expect(found.splice(0)).toEqual([
    ['setup', undefined],
    ['hook', 'hello'],
  ])
  await using after = await testPlugin([provider('hello'), reader(look)])
  await after.open().connect()
  expect(found).toEqual([
    ['setup', 'hello'],
    ['hook', 'hello'],
  ])
})

test('of two that provide the same the first is found, and the log says so', async () => {
  await using host = await testPlugin([provider('first'), provider('second')])
  expect(host.service(greeter)?.greet()).toBe('first')
  expect(host.logs).toContainEqual({
    level: 'warn',
    message: 'another filter already provides this service',
    fields: { filter: 'second', service: 'greeter', by: 'first' },
  })
})

test('services belong to one configuration: another one does not see them', async () => {
  await using one = await testPlugin(provider('one'))
  await using other = await testPlugin(reader(() => {}))
  expect(one.service(greeter)?.greet()).toBe('one')
  expect(other.service(greeter)).toBeUndefined()
})

test('a test stands in for the plugin that provides a service', async () => {
  const found: unknown[] = []
  await using host = await testPlugin(
    reader(self => {
      found.push(self.service(greeter)?.greet())
    }),
    { provide: offer => offer(greeter, { greet: () => 'a stand-in' }) },
  )
  expect(found).toEqual(['a stand-in'])
  expect(host.service(greeter)?.greet()).toBe('a stand-in')
})

test('a service without a value is refused where it is provided', async () => {
  const nothing = definePlugin({
    name: 'nothing',
    setup: host => {
      host.provide(greeter, undefined as never)
      return {}
    },
  })
  await expect(testPlugin(nothing())).rejects.toThrow('plugin nothing called provide: greeter has no value')
})
