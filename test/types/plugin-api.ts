/**
 * The promises of the plugin API that the compiler keeps. Nothing here runs: `npm run types` is the test, and each
 * `@ts-expect-error` fails it when the mistake below is no longer one.
 */
import { defineConfig, socket } from 'milterhost'
import {
  type Address,
  accept,
  definePlugin,
  type HoldOutcome,
  type Outcome,
  quarantine,
  reject,
  resultKey,
  serviceKey,
  tempfail,
} from 'milterhost/plugin'
import { z } from 'zod'

/** Compiles only when both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Same<A, B>): void => {}

const verdictKey = resultKey<{ pass: boolean }>('spf')

const serviceOf = serviceKey<{ known(address: string): Promise<boolean> }>('full.known')

const full = definePlugin({
  name: 'full',
  options: z.object({ limit: z.number().default(10), word: z.string() }),
  connection: () => ({ seen: 0 }),
  message: () => ({ passed: new Set<string>() }),
  async setup(host, options) {
    same<typeof options, { limit: number; word: string }>(true)
    same<ReturnType<typeof host.clock.now>, number>(true)
    host.provide(serviceOf, { known: async address => address === options.word })
    // @ts-expect-error the key says which type its service has
    host.provide(serviceOf, { known: () => 'yes' })
    const service = host.service(serviceOf)
    same<typeof service, { known(address: string): Promise<boolean> } | undefined>(true)
    return {
      connect(event) {
        same<typeof event.connection, { seen: number }>(true)
        same<typeof event.client.hostname, string | null>(true)
        // @ts-expect-error there is no message at connect
        event.message
      },
      helo(event) {
        same<typeof event.name, string>(true)
      },
      async rcpt(event) {
        same<typeof event.message, { passed: Set<string> }>(true)
        same<typeof event.recipient, Address>(true)
        same<Awaited<ReturnType<typeof event.hold>>, HoldOutcome>(true)
        same<ReturnType<typeof event.result<{ pass: boolean }>>, { pass: boolean } | undefined>(true)
        event.publish(verdictKey, { pass: true })
        // @ts-expect-error the key says which type its result has
        event.publish(verdictKey, { pass: 'yes' })
        // @ts-expect-error a state field that was never made
        event.connection.count += 1
        // @ts-expect-error edits do not exist before the end of the message
        event.edit.prependHeader('X', 'y')
        return event.result(verdictKey)?.pass ? undefined : tempfail('Later', { enhanced: '4.7.1' })
      },
      body: () => 'skip',
      end(event) {
        event.edit.prependHeader('X-Full', String(event.size))
        // @ts-expect-error a value is text or bytes
        event.edit.appendHeader('X-Full', 7)
        return quarantine('look at it')
      },
      settled(event) {
        same<typeof event.outcome, Outcome>(true)
      },
    }
  },
})

const bare = definePlugin({ name: 'bare', setup: () => ({ helo: () => accept }) })

// Not caught by the compiler, which is why `setup`'s object is checked when the configuration is loaded.
const misspelt = definePlugin({ name: 'misspelt', setup: () => ({ rcptt() {}, end() {} }) })

const replies = [
  reject(),
  reject('No'),
  reject(['two', 'lines'], { code: 554, enhanced: '5.7.1' }),
  // @ts-expect-error a rejection has no temporary enhanced code
  reject('No', { enhanced: '4.7.1' }),
  // @ts-expect-error a temporary failure has no permanent one
  tempfail('Later', { enhanced: '5.7.1' }),
]

const config = defineConfig({
  listen: 'inet:10025@127.0.0.1',
  filters: [
    full({ word: 'x' }),
    full({ limit: 3, word: 'x' }, { name: 'again', onFailure: 'accept', mode: 'observe', timeouts: { end: '2m' } }),
    process.platform === 'linux' && bare(),
    null,
    socket('opendkim', 'unix:/run/opendkim.sock', { version: 6, headerIndex: 'postfix' }),
    // @ts-expect-error a required option is missing
    full({}),
    // @ts-expect-error an option of the wrong type
    full({ limit: 'many', word: 'x' }),
    // @ts-expect-error it takes no options
    bare({ limit: 1 }),
    // @ts-expect-error no such policy
    socket('a', 'unix:/a', { onFailure: 'ignore' }),
  ],
})

// @ts-expect-error setup is what makes a plugin
definePlugin({ name: 'empty' })
// @ts-expect-error no such key
defineConfig({ lissen: 'inet:10025@127.0.0.1' })
// @ts-expect-error a verdict is not a string
definePlugin({ name: 'text', setup: () => ({ data: () => 'reject' }) })

void misspelt
void replies
void config
