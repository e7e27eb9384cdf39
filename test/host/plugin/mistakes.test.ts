/**
 * The mistakes that authors make, and what they are told: where it is written, when the configuration is loaded, or when mail comes. Those that
 * only a package can make (CommonJS, no default export) are in test/cli/plugin-mistakes.test.ts.
 */
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { FilterEntry } from '../../../src/host/config/entry.ts'
import type { HookName, Hooks } from '../../../src/host/plugin/events.ts'
import { definePlugin, type EntryOptions, reject, tempfail } from '../../../src/plugin.ts'
import { fakeClock, testPlugin } from '../../../src/testing.ts'

/** The text of what a call threw or rejected with. */
async function told(call: () => unknown): Promise<string> {
  try {
    await call()
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string }
    return `${code}: ${message}`
  }
  return 'nothing'
}

const define = (definition: object): unknown => definePlugin(definition as never)

/** An entry of a plugin called probe; as JavaScript would write it. */
const probe = (parts: object, options?: unknown, entry?: unknown): FilterEntry =>
  definePlugin({ name: 'probe', setup: () => ({}), ...parts } as never)(options as never, entry as EntryOptions)

const load = (parts: object, options?: unknown): Promise<unknown> => testPlugin(probe(parts, options))

const hooks = (of: object): object => ({ setup: () => of })

test.each<[mistake: string, call: () => unknown, message: string]>([
  ['no definition', () => define(undefined as never), 'a plugin without a name: name must be a short name'],
  ['a name with a blank', () => define({ name: 'my plugin', setup() {} }), 'name must be a short name of letters'],
  ['setup left out', () => define({ name: 'probe' }), 'setup must be a function that returns the hooks'],
  ['setup called', () => define({ name: 'probe', setup: {} }), 'setup must be a function that returns the hooks'],
  [
    'a hook beside setup',
    () => define({ name: 'probe', setup() {}, rcpt() {} }),
    'the hook rcpt belongs into the object that setup returns',
  ],
  [
    'a misspelt key',
    () => define({ name: 'probe', setup() {}, optoins: {} }),
    'there is no "optoins" in a definition; did you mean "options"?',
  ],
  [
    'options that are no schema',
    () => define({ name: 'probe', options: { limit: 10 }, setup() {} }),
    'options must be a Standard Schema, such as z.object({ … }) of zod',
  ],
  [
    'state that is shared',
    () => define({ name: 'probe', message: {}, setup() {} }),
    'message must be a function that makes the state, such as () => ({ seen: 0 })',
  ],
  [
    'another API version',
    () => define({ name: 'probe', api: 2, setup() {} }),
    'PLUGIN_API: plugin probe was built for plugin API 2, this milterhost has 1',
  ],
])('where it is written: %s', async (_mistake, call, message) => {
  expect(await told(call)).toContain(message)
})

test.each<[mistake: string, call: () => unknown, message: string]>([
  [
    'a misspelt hook',
    () => load(hooks({ rcptt() {} })),
    'plugin probe has hooks that cannot be used: there is no hook "rcptt"; did you mean "rcpt"?',
  ],
  ['a hook of libmilter', () => load(hooks({ eom() {} })), 'there is no hook "eom"; what libmilter calls eom is end'],
  [
    'a hook of libmilter',
    () => load(hooks({ envfrom() {} })),
    'there is no hook "envfrom"; what libmilter calls envfrom is mail',
  ],
  ['a hook that was called', () => load(hooks({ rcpt: undefined, end: reject() })), 'end is not a function'],
  ['setup that returns nothing', () => load({ setup() {} }), 'setup must return an object with the hooks'],
  ['setup that returns one hook', () => load({ setup: () => () => {} }), 'setup must return an object with the hooks'],
  [
    'a throw in setup',
    () =>
      load({
        setup() {
          throw new Error('no database')
        },
      }),
    'PLUGIN_SETUP: setup of plugin probe failed: no database',
  ],
  [
    'a rejection in setup',
    () => load({ setup: async () => Promise.reject('oops') }),
    'setup of plugin probe failed: threw "oops"',
  ],
  [
    'a wrong option',
    () => load({ options: z.object({ limit: z.number() }) }, { limit: 'ten' }),
    'plugin probe cannot be used with these options: option limit: ',
  ],
  [
    'a misspelt option',
    () => load({ options: z.object({ limit: z.number().optional() }) }, { limt: 1 }),
    'there is no option limt; did you mean "limit"?',
  ],
  [
    'a misspelt option deep inside',
    () =>
      load({ options: z.object({ keys: z.array(z.object({ file: z.string().optional() })) }) }, { keys: [{ fil: 1 }] }),
    'there is no option keys[0].fil; did you mean "file"?',
  ],
  [
    'a wrong value of one choice of several',
    () =>
      load(
        { options: z.object({ adaptive: z.union([z.boolean(), z.object({ least: z.number() })]) }) },
        { adaptive: { least: 'x' } },
      ),
    'option adaptive.least: Invalid input: expected number, received string',
  ],
  [
    'an option of the entry among those of the plugin',
    () => load({ options: z.object({ limit: z.number().optional() }) }, { limit: 1, onFailure: 'accept' }),
    'there is no option onFailure; it belongs to the entry, into a second object: probe({ … }, { onFailure: … })',
  ],
  [
    'options that are no object',
    () => load({ options: z.object({ limit: z.number().optional() }) }, 10),
    'plugin probe cannot be used with these options: Invalid input: expected object, received number',
  ],
  ['options for a plugin without', () => load({}, { limit: 10 }), 'it takes no options, but was given limit'],
  [
    'two plugins of one name',
    () => testPlugin([probe({}), probe({})]),
    'the name "probe" is taken by filters[0]; give one of them another with the option name',
  ],
  [
    'the plugin in the place of its entry',
    () => testPlugin(definePlugin({ name: 'probe', setup: () => ({}) }) as never),
    'filters[0] is the plugin probe itself: call it to make an entry',
  ],
  [
    'the definition in the place of the plugin',
    () => testPlugin({ name: 'probe', setup: () => ({}) } as never),
    'is a plain object: wrap it with definePlugin(…) and call the result',
  ],
  [
    'an entry that is a promise',
    () => testPlugin([Promise.resolve(probe({})) as never]),
    'is a promise: put await before it',
  ],
  [
    'a misspelt option of the entry',
    () => testPlugin(probe({}, {}, { onfailure: 'accept' })),
    'onfailure is not an option; did you mean "onFailure"?',
  ],
  [
    'setup that never ends',
    async () => {
      const clock = fakeClock()
      const starting = testPlugin(probe({ setup: () => new Promise(() => {}) }), { clock })
      starting.catch(() => {})
      await new Promise(done => setImmediate(done))
      await clock.advance('61s')
      return starting
    },
    'setup of plugin probe failed: it did not finish within 60 s',
  ],
])('when the configuration is loaded: %s', async (_mistake, call, message) => {
  expect(await told(call)).toContain(message)
})

/** Everything that the postmaster could read after one message: failures, refused calls, the log. */
async function run(of: Hooks): Promise<string> {
  const clock = fakeClock()
  const host = await testPlugin(definePlugin({ name: 'probe', setup: () => of })(), { clock })
  const delivering = host.deliver({ message: 'Subject: hi\r\n\r\nhello\r\n' })
  for (let minute = 0; minute < 8; minute++) {
    await new Promise(done => setImmediate(done))
    await clock.advance('1m')
  }
  await delivering
  await new Promise(done => setImmediate(done))
  await host.close()
  return JSON.stringify([host.events, host.logs], (_key, value) => (value instanceof Error ? value.message : value))
}

/** What a hook's event would have if the author were right. */
interface Hoped {
  readonly edit: { prependHeader(name: string, value: unknown): void; addRecipient(address: string): void }
  hold(seconds: unknown): Promise<unknown>
  body(): unknown
}

const on = (hook: HookName, act: (event: Hoped) => unknown): Hooks => ({ [hook]: act }) as never

test.each<[mistake: string, hooks: Hooks, message: string]>([
  [
    'edit before the end',
    on('headers', event => event.edit.prependHeader('X-A', 'b')),
    'filter probe failed at headers: event.edit is not there in the hook headers, only in end',
  ],
  [
    'a forgotten await',
    on('end', event => {
      setImmediate(() => event.edit.prependHeader('X-A', 'b'))
    }),
    'edit.prependHeader came when its end hook had already answered',
  ],
  [
    'a throw',
    on('mail', () => {
      throw new TypeError('x is null')
    }),
    'filter probe failed at mail: TypeError: x is null',
  ],
  [
    'a verdict that is thrown',
    on('rcpt', () => {
      throw reject('No')
    }),
    'filter probe failed at rcpt: threw a verdict: write return in the place of throw',
  ],
  [
    'a hook that never ends',
    on('rcpt', () => new Promise(() => {})),
    'a hook is still running although nobody waits for it',
  ],
  [
    'a verdict not called',
    on('rcpt', () => reject as never),
    'a function; a verdict is made by calling it, as in reject()',
  ],
  [
    'true for a verdict',
    on('rcpt', () => true),
    'an answer at rcpt that cannot be used: the boolean true, not a verdict; there are reject(), tempfail()',
  ],
  ['a text for a verdict', on('rcpt', () => 'reject'), 'the text \\"reject\\", not a verdict; there are reject()'],
  ['a code for a verdict', on('rcpt', () => 550), 'the number 550, not a verdict'],
  ['skip outside of body', on('rcpt', () => 'skip'), '\\"skip\\", which only the hook body may answer'],
  [
    'a reply of the wrong class',
    on('rcpt', () => reject('No', { code: 450 as never })),
    'reject(): the code 450 is not of its class, which is 5xx',
  ],
  [
    'an enhanced code of another class',
    on('rcpt', () => tempfail('No', { enhanced: '5.7.1' as never })),
    'tempfail(): the enhanced code \\"5.7.1\\" does not fit the code 451, which needs 4.x.y',
  ],
  [
    'a header name with a blank',
    on('end', event => event.edit.prependHeader('X A', 'b')),
    'the name \\"X A\\" holds a blank, a colon',
  ],
  [
    'a CR in a value',
    on('end', event => event.edit.prependHeader('X-A', 'b\rc')),
    'edit.prependHeader: the value holds a CR; fold with LF and a space',
  ],
  [
    'a number for a value',
    on('end', event => event.edit.prependHeader('X-A', 5)),
    'edit.prependHeader: the value is not text or bytes',
  ],
  [
    'a recipient that is none',
    on('end', event => event.edit.addRecipient('a b')),
    'edit.addRecipient: the address \\"a b\\" holds a blank',
  ],
  [
    'a verdict from settled',
    on('settled', () => reject('No')),
    'the hook settled returned a verdict, which has no effect',
  ],
  [
    'a hold outside of a hook',
    on('mail', event => {
      setImmediate(() => event.hold(5))
    }),
    'hold came when its mail hook had already answered',
  ],
  ['a hold of no length', on('rcpt', event => event.hold('soon')), 'hold: it takes a number of seconds, 0 or more'],
  [
    'the body of a message at rcpt',
    on('rcpt', event => event.body()),
    'event.body is not there in the hook rcpt, only in end',
  ],
])('when mail comes: %s', async (_mistake, of, message) => {
  const text = await run(of)
  expect(text).toContain(message)
})
