// What a plugin can do wrong, and a plugin that does it: to one client, once, in one hook. Everybody else finds it in good health.

import { definePlugin, type EndEvent, type NoOptions, type Plugin, reject } from 'milterhost/plugin'
import { sleep } from '../harness/index.ts'
import { NEW_BODY } from './milter-fault.ts'

/** Hooks that are asked, each with the letter of the command that runs it. */
export const HOOKS = {
  connect: 'C',
  helo: 'H',
  mail: 'M',
  rcpt: 'R',
  data: 'T',
  headers: 'L',
  body: 'B',
  end: 'E',
} as const
export type Hook = keyof typeof HOOKS

export interface PluginFault {
  name: string
  code: 'FILTER_THREW' | 'FILTER_BAD_ANSWER' | 'FILTER_TIMEOUT'
  /** In place of the hook. */
  act: (event: object) => unknown
}

const hostile = (): object => ({
  get kind(): string {
    throw new Error('kind')
  },
  get message(): string {
    throw new Error('message')
  },
  toString(): string {
    throw new Error('toString')
  },
})
const unreadable = (): object => {
  const trap = (): never => {
    throw new Error('trap')
  }
  return new Proxy({}, { get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap })
}
const throwing = (what: unknown): never => {
  throw what
}

/** A promise of the plugin's own making, which calls back as it likes. */
export const promise = (
  then: (resolve: (value?: unknown) => void, refuse: (error: unknown) => void) => void,
): unknown => Object.fromEntries([['then', then]])

export const FAULTS: readonly PluginFault[] = [
  { name: 'throws', code: 'FILTER_THREW', act: () => throwing(new Error('no')) },
  { name: 'throws null', code: 'FILTER_THREW', act: () => throwing(null) },
  { name: 'throws undefined', code: 'FILTER_THREW', act: () => throwing(undefined) },
  { name: 'throws a text', code: 'FILTER_THREW', act: () => throwing('no') },
  { name: 'throws what cannot be read', code: 'FILTER_THREW', act: () => throwing(hostile()) },
  { name: 'throws a proxy of traps', code: 'FILTER_THREW', act: () => throwing(unreadable()) },
  { name: 'throws a verdict', code: 'FILTER_THREW', act: () => throwing(reject('no')) },
  {
    name: 'runs out of stack',
    code: 'FILTER_THREW',
    act: function again(): unknown {
      return [again()]
    },
  },
  { name: 'rejects', code: 'FILTER_THREW', act: () => Promise.reject(new Error('no')) },
  { name: 'rejects with nothing', code: 'FILTER_THREW', act: () => Promise.reject() },
  { name: 'rejects after a while', code: 'FILTER_THREW', act: () => sleep(0.02).then(() => throwing(new Error('no'))) },
  {
    name: 'returns a promise that throws',
    code: 'FILTER_THREW',
    act: () => promise(() => throwing(new Error('no'))),
  },
  { name: 'returns a number', code: 'FILTER_BAD_ANSWER', act: () => 42 },
  { name: 'returns a word', code: 'FILTER_BAD_ANSWER', act: () => 'reject' },
  { name: 'returns null', code: 'FILTER_BAD_ANSWER', act: () => null },
  { name: 'returns a verdict not yet made', code: 'FILTER_BAD_ANSWER', act: () => reject },
  { name: 'returns what is no verdict', code: 'FILTER_BAD_ANSWER', act: () => ({ kind: 'bounce' }) },
  { name: 'returns what cannot be read', code: 'FILTER_BAD_ANSWER', act: hostile },
  {
    name: 'returns a rejection that says 250',
    code: 'FILTER_BAD_ANSWER',
    act: () => ({ kind: 'reject', reply: { code: 250, enhanced: null, lines: ['ok'] } }),
  },
  {
    name: 'returns a reply of two',
    code: 'FILTER_BAD_ANSWER',
    act: () => ({ kind: 'reject', reply: { code: 550, enhanced: null, lines: ['no\r\n250 ok'] } }),
  },
  { name: 'promises a number', code: 'FILTER_BAD_ANSWER', act: async () => 42 },
]

/** A moment after nobody waits for the answer any more. */
const givenUp = (event: object): Promise<void> => {
  const { signal } = event as EndEvent
  return new Promise(resolve => signal.addEventListener('abort', () => setTimeout(resolve, 5), { once: true }))
}

export const HANGS: readonly PluginFault[] = [
  { name: 'never answers', code: 'FILTER_TIMEOUT', act: () => new Promise(() => {}) },
  { name: 'answers too late', code: 'FILTER_TIMEOUT', act: event => givenUp(event).then(() => reject('late')) },
  {
    name: 'fails too late',
    code: 'FILTER_TIMEOUT',
    act: event => givenUp(event).then(() => throwing(new Error('late'))),
  },
]

const edited = (event: object): EndEvent['edit'] => {
  const { edit } = event as EndEvent
  edit.prependHeader('X-Partial', '1')
  edit.addRecipient('partial@example.net')
  edit.removeRecipient('bob@example.net')
  edit.replaceBody('PARTIAL BODY\n')
  return edit
}

async function* breaking(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('PARTIAL BODY\r\n')
  throw new Error('no more')
}

/** In the hook `end`, with edits made. */
export const HALF_DONE: readonly PluginFault[] = [
  { name: 'throws with its edits made', code: 'FILTER_THREW', act: event => throwing(edited(event)) },
  { name: 'rejects with its edits made', code: 'FILTER_THREW', act: async event => throwing(edited(event)) },
  {
    name: 'returns its edits as an answer',
    code: 'FILTER_BAD_ANSWER',
    act: event => edited(event),
  },
  {
    name: 'gives a new body that breaks off',
    code: 'FILTER_THREW',
    act: event => void edited(event).replaceBody(breaking()),
  },
]
export const HALF_DONE_HANGS: readonly PluginFault[] = [
  {
    name: 'never answers with its edits made',
    code: 'FILTER_TIMEOUT',
    act: event => {
      edited(event)
      return new Promise(() => {})
    },
  },
  {
    name: 'edits too late',
    code: 'FILTER_TIMEOUT',
    act: async event => {
      await givenUp(event)
      edited(event)
    },
  },
]

export interface FaultyPlugin {
  entry: Plugin<NoOptions>
  /** The next time that this hook runs for this client, and then never again. */
  arm(client: string, hook: Hook, act: PluginFault['act']): void
}

interface AnyEvent {
  readonly client: { readonly address: string }
}

export function faultyPlugin(): FaultyPlugin {
  const armed = new Map<string, PluginFault['act']>()
  const well =
    (hook: Hook, work: (event: never) => unknown = () => undefined) =>
    (event: AnyEvent): undefined => {
      const key = `${event.client.address} ${hook}`
      const act = armed.get(key)
      armed.delete(key)
      return (act === undefined ? work(event as never) : act(event)) as undefined
    }
  const entry = definePlugin({
    name: 'faulty',
    setup: () => ({
      connect: well('connect'),
      helo: well('helo'),
      mail: well('mail'),
      rcpt: well('rcpt'),
      data: well('data'),
      headers: well('headers'),
      body: well('body'),
      end: well('end', ({ edit }: EndEvent) => {
        edit.appendHeader('X-Plugin', 'done')
        edit.replaceBody(NEW_BODY.replace('\r', ''))
      }),
    }),
  })
  return { entry, arm: (client, hook, act) => void armed.set(`${client} ${hook}`, act) }
}
