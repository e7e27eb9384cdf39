/** What a plugin can do wrong, and what the chain is told of it. */
import { expect, test } from 'vitest'
import { memoryBody } from '../../../src/host/message/body.ts'
import { resultKey } from '../../../src/plugin.ts'
import { Conversation, converse, create, failureOf, path, snapshot, withHooks } from './harness.ts'

const hostile = new Error('x')
Object.defineProperty(hostile, 'message', {
  get() {
    throw new Error('from the getter')
  },
})
const untouchable: unknown = new Proxy(
  {},
  {
    get() {
      throw new Error('from the proxy')
    },
    getPrototypeOf() {
      throw new Error('from the proxy')
    },
  },
)
const thrown: readonly (readonly [what: string, value: unknown, told: string | RegExp])[] = [
  ['an error', new Error('no backend'), 'no backend'],
  ['an error of a kind', new TypeError('x is null'), 'TypeError: x is null'],
  ['null', null, 'threw null'],
  ['undefined', undefined, 'threw undefined'],
  ['a text', 'oops', 'threw "oops"'],
  ['a symbol', Symbol('s'), 'threw Symbol(s)'],
  ['an object', { a: 1 }, 'threw [object Object]'],
  ['an error with a hostile getter', hostile, 'threw a value that cannot be read'],
  ['a proxy that cannot be touched', untouchable, 'threw a value that cannot be read'],
  [
    'an object with a hostile toString',
    {
      toString: () => {
        throw new Error('no')
      },
    },
    'threw [object Object]',
  ],
]

test.each(thrown)('a hook that throws %s has failed, in words', async (_what, value, told) => {
  const hooks = [
    () => {
      throw value
    },
    () => Promise.reject(value),
    async () => {
      await null
      throw value
    },
  ]
  for (const hook of hooks) {
    const conversation = await converse(withHooks({ connect: hook }))
    const error = await failureOf(() => conversation.connect())
    expect(error).toMatchObject({ code: 'FILTER_THREW' })
    expect(error?.message).toContain('filter probe failed at connect: ')
    expect(error?.message).toContain(told)
  }
})

test.each(['connect', 'helo', 'mail', 'rcpt', 'data', 'headers', 'body', 'end'])(
  'a throw in the hook %s names plugin and hook',
  async hook => {
    const conversation = await converse(
      withHooks({
        [hook]: () => {
          throw new Error('broken')
        },
      } as never),
    )
    const error = await failureOf(() => conversation.deliver(snapshot({ body: ['x'] })))
    expect(error?.message).toContain(`filter probe failed at ${hook}: broken`)
  },
)

test('where an error came from is told', async () => {
  const conversation = await converse(
    withHooks({
      connect() {
        throw new Error('broken')
      },
    }),
  )
  const error = await failureOf(() => conversation.connect())
  expect(error?.message).toMatch(/broken \(host\/plugin\/faults\.test\.ts:\d+:\d+\)$/)
})

test('a thenable that cannot be read is a failure and no answer', async () => {
  const thenable = Object.defineProperty({}, 'then', {
    get() {
      throw new Error('no')
    },
  })
  const conversation = await converse(withHooks({ connect: () => thenable as never }))
  expect(await failureOf(() => conversation.connect())).toMatchObject({ code: 'FILTER_THREW' })
})

test('a verdict that cannot be read is a bad answer', async () => {
  const conversation = await converse(withHooks({ helo: () => untouchable as never }))
  const error = await failureOf(() => conversation.helo())
  expect(error?.code).toMatch(/^FILTER_(BAD_ANSWER|THREW)$/)
})

test.each(['connection', 'message'] as const)('a throw in %s() is a failure of the hook it was for', async what => {
  const { definePlugin } = await import('../../../src/plugin.ts')
  const plugin = definePlugin({
    name: 'probe',
    [what]: () => {
      throw new Error('no state')
    },
    setup: () => ({ mail() {} }),
  })
  const conversation = await converse(plugin)
  const error = await failureOf(() => conversation.mail())
  expect(error?.message).toContain(`filter probe failed at mail, in ${what}(): no state`)
})

test('an answer that comes after its signal was aborted is thrown away', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const conversation = await converse(withHooks({ mail: () => promise }))
  const answer = conversation.mail()
  conversation.controller.abort({ kind: 'timeout', detail: '' })
  resolve()
  expect(await answer).toEqual({ kind: 'tempfail', reply: null })
})

test('a rejection that comes after its signal was aborted disturbs nobody', async () => {
  const { promise, reject } = Promise.withResolvers<void>()
  const conversation = await converse(withHooks({ end: () => promise }))
  await conversation.mail()
  const answer = conversation.message()
  conversation.controller.abort({ kind: 'client-left', detail: '' })
  reject(new Error('late'))
  expect(await answer).toEqual({ verdict: { kind: 'tempfail', reply: null }, edits: [] })
})

test('no further hook is called once the signal is aborted', async () => {
  const called: string[] = []
  const conversation = await converse(
    withHooks({
      async headers() {
        called.push('headers')
        await null
        conversation.controller.abort({ kind: 'mta-abort', detail: '' })
      },
      body() {
        called.push('body')
      },
      end() {
        called.push('end')
      },
    }),
  )
  await conversation.mail()
  await conversation.message(snapshot({ body: ['x'] }))
  expect(called).toEqual(['headers'])
})

test('edits, results and holds that come when the hook has answered have no effect and are reported', async () => {
  const key = resultKey<string>('late')
  let late: () => unknown = () => {}
  const conversation = await converse(
    withHooks({
      end(event) {
        late = () => {
          event.edit.prependHeader('X-Late', '1')
          event.publish(key, 'late')
          return event.hold(1)
        }
      },
    }),
  )
  const answer = await conversation.deliver()
  expect(await late()).toBe('refused')
  expect(answer.edits).toEqual([])
  expect(conversation.results.get(key)).toBeUndefined()
  expect(conversation.refused).toEqual([
    'message: edit.prependHeader came when its end hook had already answered',
    'message: publish came when its end hook had already answered',
    'message: hold came when its end hook had already answered',
  ])
})

test('a result published after the signal was aborted does not reach the next message', async () => {
  const key = resultKey<string>('late')
  const { promise, resolve } = Promise.withResolvers<void>()
  const conversation = await converse(
    withHooks({
      async mail(event) {
        await promise
        if (event.id === 'm1') event.publish(key, 'of the first message')
      },
    }),
  )
  const first = conversation.mail()
  conversation.controller.abort({ kind: 'mta-abort', detail: '' })
  conversation.controller = new AbortController()
  const second = conversation.mail(path('<b@example.net>'), 'm2')
  resolve()
  await first
  expect(conversation.results.get(key)).toBeUndefined()
  await second
})

test('a hook that never settles is told when its session is closed and when the plugin is', async () => {
  const lines: string[] = []
  const log = {
    debug() {},
    info() {},
    error() {},
    warn: (fields: object, message = '') => void lines.push(`${message} ${JSON.stringify(fields)}`),
    child: () => log,
  }
  const filter = await create(withHooks({ rcpt: () => new Promise<void>(() => {}) })(), log)
  const conversation = new Conversation(filter, { log })
  await conversation.mail()
  void conversation.rcpt()
  conversation.session.close()
  await new Promise(resolve => setImmediate(resolve))
  expect(lines[0]).toContain('a hook is still running although nobody waits for it {"hook":"rcpt"')
  await filter.close()
  expect(lines[1]).toContain('hooks of this plugin never settled {"hooks":[{"hook":"rcpt","session":"s1"')
})

test('a throw in settled is logged and goes no further', async () => {
  const errors: unknown[] = []
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (fields: object) => void errors.push(fields),
    child: () => log,
  }
  const plugins = [
    () => {
      throw new Error('sync')
    },
    async () => {
      throw new Error('async')
    },
  ]
  for (const settled of plugins) {
    const conversation = await converse(withHooks({ settled }), { log })
    await conversation.mail()
    conversation.session.settled?.('accept')
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(errors).toMatchObject([{ hook: 'settled' }, { hook: 'settled' }])
})

test('what a plugin writes into the chunk it is given reaches nobody else', async () => {
  const stored = Buffer.from('text')
  const conversation = await converse(
    withHooks({
      body(event) {
        event.chunk.fill(0)
      },
      async end(event) {
        for await (const piece of event.body()) piece.fill(0)
      },
    }),
  )
  await conversation.deliver(snapshot({ body: memoryBody([stored]) }))
  expect(stored.toString()).toBe('text')
})

test('a raw stream that is left unread or broken off does not end the process', async () => {
  const conversation = await converse(
    withHooks({
      async end(event) {
        event.raw()
        event.raw().destroy(new Error('broken off'))
        for await (const _ of event.raw()) break
      },
    }),
  )
  expect(await conversation.deliver(snapshot({ body: ['text'] }))).toMatchObject({ verdict: { kind: 'continue' } })
})

test('a plugin that needs what the MTA does not send fails rather than miss it', async () => {
  const filter = await create(withHooks({ body() {} })())
  const conversation = new Conversation(filter, { asked: new Set(['connect', 'mail', 'rcpt', 'header', 'eoh']) })
  const error = await failureOf(() => conversation.mail())
  expect(error).toMatchObject({ code: 'PLUGIN_UNINFORMED' })
  expect(error?.message).toContain('plugin probe needs body')
})
