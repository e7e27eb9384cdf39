/** Conversations against plugins over the real chain, as an author's tests have them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { accept, definePlugin, discard, quarantine, reject, resultKey, tempfail } from '../../src/plugin.ts'
import { type Delivery, fakeClock, fakeDns, testConfig, testPlugin } from '../../src/testing.ts'

const plugin = (hooks: ReturnType<Parameters<typeof definePlugin>[0]['setup']>, name = 'probe') =>
  definePlugin({ name, setup: () => hooks as object })()

test('a message that no filter minds is accepted as it was sent', async () => {
  await using host = await testPlugin([])
  const delivery = await host.deliver({ from: 'a@example.net', to: ['b@example.com', 'c@example.com'] })
  expect(delivery).toMatchObject({
    outcome: 'accept',
    verdict: { kind: 'continue' },
    decidedBy: null,
    quarantine: null,
    edits: [],
    message: { sender: 'a@example.net', recipients: ['b@example.com', 'c@example.com'], body: 'Hello\r\n' },
  })
  expect(delivery.message?.header('subject')).toBe('test')
})

test('what the client was told at each step is there', async () => {
  await using host = await testPlugin(
    plugin({ rcpt: event => (event.recipient.local === 'nobody' ? reject('No such user') : undefined) }),
  )
  const { replies, message, outcome } = await host.deliver({ to: ['nobody@example.com', 'b@example.com'] })
  expect(replies.map(({ command, verdict }) => `${command} ${verdict.kind}`)).toEqual([
    'connect continue',
    'helo continue',
    'mail continue',
    'rcpt reject',
    'rcpt continue',
    'data continue',
    'message continue',
  ])
  expect(outcome).toBe('accept')
  expect(message?.recipients).toEqual(['b@example.com'])
})

test.each(['connect', 'helo', 'mail', 'rcpt', 'data', 'headers', 'body', 'end'])(
  'a refusal at %s ends the message with that verdict, and nothing is kept',
  async hook => {
    await using host = await testPlugin(plugin({ [hook]: () => reject('No') } as never, 'strict'))
    const delivery = await host.deliver()
    expect(delivery.verdict).toEqual(reject('No'))
    expect(delivery.outcome).toBe('reject')
    expect(delivery.message).toBeNull()
  },
)

test.each(['mail', 'rcpt', 'data', 'headers', 'body', 'end'])('a message discarded at %s is not kept', async hook => {
  await using host = await testPlugin(plugin({ [hook]: () => discard } as never))
  expect(await host.deliver()).toMatchObject({ outcome: 'discard', message: null })
})

test.each(['mail', 'rcpt', 'data', 'headers', 'body', 'end'])('a message quarantined at %s is held', async hook => {
  await using host = await testPlugin(plugin({ [hook]: () => quarantine('odd') } as never))
  const delivery = await host.deliver()
  expect(delivery).toMatchObject({ outcome: 'quarantine', quarantine: 'odd' })
  expect(delivery.message?.body).toBe('Hello\r\n')
})

test('accept ends the part of one plugin and of no other', async () => {
  const seen: string[] = []
  await using host = await testPlugin([
    plugin({ mail: () => accept, end: () => void seen.push('first') }, 'first'),
    plugin({ end: () => void seen.push('second') }, 'second'),
  ])
  expect((await host.deliver()).outcome).toBe('accept')
  expect(seen).toEqual(['second'])
})

test('a later plugin sees the edits and the results of an earlier one', async () => {
  const key = resultKey<number>('score')
  await using host = await testPlugin([
    plugin(
      {
        end(event) {
          event.edit.prependHeader('X-First', 'ü')
          event.edit.replaceBody('changed\n')
          event.publish(key, 7)
        },
      },
      'first',
    ),
    plugin(
      {
        async end(event) {
          let body = ''
          for await (const piece of event.body()) body += Buffer.from(piece).toString()
          event.edit.appendHeader('X-Second', `${event.header('x-first')?.value} ${event.result(key)} ${body.trim()}`)
        },
      },
      'second',
    ),
  ])
  const { message } = await host.deliver()
  expect(message?.headers).toEqual([
    { name: 'X-First', value: 'ü' },
    { name: 'Subject', value: 'test' },
    { name: 'X-Second', value: 'ü 7 changed' },
  ])
})

test('events tell what the MTA told', async () => {
  const seen: unknown[] = []
  await using host = await testPlugin(
    plugin({
      connect: ({ client, auth }) => void seen.push(client, auth),
      mail: ({ auth, tls, args, queueId, sender }) => void seen.push(auth, tls, [...args], queueId, sender.isNull),
      end: ({ queueId, macro }) => void seen.push(typeof queueId, typeof macro),
    }),
  )
  const conversation = host.open({
    address: '2001:db8::1',
    hostname: null,
    auth: { user: 'jürgen' },
    tls: { version: 'TLSv1.2' },
  })
  await conversation.mail('', 'SIZE=100', 'SMTPUTF8')
  await conversation.message()
  expect(seen).toEqual([
    { address: '2001:db8::1', port: 40_000, hostname: null, verified: false },
    null,
    { user: 'jürgen', mechanism: 'PLAIN' },
    { version: 'TLSv1.2', cipher: 'TLS_AES_256_GCM_SHA384' },
    [
      ['SIZE', '100'],
      ['SMTPUTF8', ''],
    ],
    null,
    true,
    'string',
    'function',
  ])
})

test('a name that does not lead back is there and not verified', async () => {
  const verified: unknown[] = []
  await using host = await testPlugin(
    plugin({ connect: ({ client }) => void verified.push([client.hostname, client.verified]) }),
    { mta: 'sendmail' },
  )
  await host.deliver({ client: { hostname: 'mx.example.net' } })
  await host.deliver({
    client: { hostname: 'mx.example.net', macros: { _: 'mx.example.net [192.0.2.1] (may be forged)' } },
  })
  await host.deliver({ client: { hostname: 'unknown' } })
  expect(verified).toEqual([
    ['mx.example.net', true],
    ['mx.example.net', false],
    [null, false],
  ])
})

test('Sendmail has a queue id at MAIL, Postfix later', async () => {
  for (const mta of ['sendmail', 'postfix'] as const) {
    const ids: unknown[] = []
    await using host = await testPlugin(
      plugin({ mail: event => void ids.push(event.queueId), data: event => void ids.push(event.queueId) }),
      { mta },
    )
    await host.deliver()
    expect(ids).toEqual([mta === 'sendmail' ? '4TEST1' : null, '4TEST1'])
  }
})

test('several messages on one connection, with one cancelled between', async () => {
  const outcomes: string[] = []
  await using host = await testPlugin(
    plugin({ settled: event => void outcomes.push(`${event.sender} ${event.outcome}`) }),
  )
  const conversation = host.open()
  await conversation.mail('one@example.net')
  expect((await conversation.message()).message?.sender).toBe('one@example.net')
  await conversation.mail('two@example.net')
  await conversation.rcpt()
  conversation.reset()
  await conversation.mail('three@example.net')
  const third = await conversation.message()
  expect(third.message?.sender).toBe('three@example.net')
  expect(third.trace.filter(({ stage }) => stage === 'mail')).toHaveLength(1)
  conversation.quit()
  expect(outcomes).toEqual(['one@example.net accept', 'two@example.net aborted', 'three@example.net accept'])
})

test.each(['connect', 'helo', 'mail', 'rcpt', 'data'])(
  'a conversation goes no further than the refusal at %s, whatever step is asked for',
  async hook => {
    await using host = await testPlugin(plugin({ [hook]: () => tempfail('Later'), settled() {} } as never))
    const conversation = host.open()
    expect(await conversation.message()).toMatchObject({
      outcome: 'tempfail',
      verdict: tempfail('Later'),
      message: null,
    })
    conversation.quit()
  },
)

test('a plugin that throws costs its onFailure and is in the trace', async () => {
  const broken = definePlugin({
    name: 'broken',
    setup: () => ({
      rcpt() {
        throw new Error('no backend')
      },
    }),
  })
  const delivered: Delivery[] = []
  for (const onFailure of ['tempfail', 'accept', 'reject', 'quarantine'] as const) {
    await using host = await testPlugin(broken({}, { onFailure }))
    delivered.push(await host.deliver())
  }
  expect(delivered.map(({ outcome }) => outcome)).toEqual(['tempfail', 'accept', 'reject', 'quarantine'])
  expect(delivered[0]?.trace.at(-1)).toMatchObject({
    filter: 'broken',
    stage: 'rcpt',
    failure: { code: 'FILTER_THREW' },
  })
})

test('a hook that does not answer in its time is given up, and told why', async () => {
  const clock = fakeClock()
  const reasons: unknown[] = []
  const slow = definePlugin({
    name: 'slow',
    setup: () => ({
      mail: event =>
        new Promise<void>(resolve =>
          event.signal.addEventListener('abort', () => {
            reasons.push((event.signal.reason as { kind: string }).kind)
            resolve()
          }),
        ),
    }),
  })
  await using host = await testPlugin(slow({}, { timeouts: { command: '3s' } }), { clock })
  const delivery = host.deliver()
  await clock.advance('4s')
  expect(await delivery).toMatchObject({ outcome: 'tempfail', message: null })
  expect(reasons).toEqual(['timeout'])
})

test('a client that leaves while it is held is told to the plugin at once, and to settled', async () => {
  const clock = fakeClock()
  const seen: string[] = []
  await using host = await testPlugin(
    plugin({
      async rcpt(event) {
        seen.push(await event.hold(5))
      },
      settled: event => void seen.push(`settled ${event.outcome}`),
    }),
    { clock },
  )
  const conversation = host.open()
  await conversation.mail()
  const held = conversation.rcpt()
  await clock.advance(1)
  conversation.disconnect()
  await held
  expect(seen.sort()).toEqual(['client-left', 'settled client-left'])
})

test('a hold that ends lets the recipient through', async () => {
  const clock = fakeClock()
  await using host = await testPlugin(
    plugin({
      async rcpt(event) {
        return (await event.hold(5)) === 'waited' ? undefined : tempfail('Not held')
      },
    }),
    { clock },
  )
  const delivery = host.deliver()
  await clock.advance(6)
  expect((await delivery).outcome).toBe('accept')
})

test('an observed plugin changes nothing', async () => {
  const strict = definePlugin({ name: 'strict', setup: () => ({ end: () => reject('No') }) })
  await using host = await testPlugin(strict({}, { mode: 'observe' }))
  const { outcome, trace } = await host.deliver()
  expect(outcome).toBe('accept')
  expect(trace.at(-1)).toMatchObject({ verdict: reject('No'), observed: true })
})

test('DNS, log, counters and closing are the host’s, and a test has them in hand', async () => {
  const dns = fakeDns({ '192.0.2.1': { ptr: ['mx.example.net'] } })
  const closed: string[] = []
  const asking = definePlugin({
    name: 'asking',
    setup(host) {
      const asked = host.counter('asked_total', 'Look-ups')
      host.health('dns', async () => void (await host.dns.ptr('192.0.2.1')))
      host.onClose(() => void closed.push(host.name))
      return {
        async connect(event) {
          asked.add(1, { type: 'ptr' })
          event.log.info({ names: await host.dns.ptr(event.client.address, event.signal) }, 'looked up')
        },
      }
    },
  })
  const host = await testPlugin(asking({}, { name: 'ask' }), { dns })
  await host.deliver()
  expect(dns.calls).toEqual([{ type: 'ptr', name: '192.0.2.1' }])
  expect(host.logs).toMatchObject([
    { level: 'info', message: 'looked up', fields: { filter: 'ask', session: 'test1', names: ['mx.example.net'] } },
  ])
  expect(host.counters()).toMatchObject([
    { name: 'milterhost_asking_asked_total', samples: [{ labels: { filter: 'ask', type: 'ptr' }, value: 1 }] },
  ])
  expect((await host.check()).get('ask')?.facts.get('health')).toBe('dns ok')
  await host.close()
  expect(closed).toEqual(['ask'])
})

test('a whole configuration is tested as it is written, disabled entries and limits included', async () => {
  const strict = definePlugin({ name: 'strict', setup: () => ({ connect: () => reject('No') }) })
  await using host = await testConfig({
    filters: [strict({}, { enabled: false }), false, plugin({ end() {} })],
    limits: { recipients: 1 },
  })
  const { message, replies } = await host.deliver({ to: ['a@example.com', 'b@example.com'] })
  expect(message?.recipients).toEqual(['a@example.com'])
  expect(replies.find(({ recipient }) => recipient === 'b@example.com')?.verdict).toMatchObject({ kind: 'tempfail' })
})

test('a configuration with a mistake is refused as at a start', async () => {
  await expect(testConfig({ filters: [plugin({})], limits: { recipient: 1 } as never })).rejects.toThrow(
    'did you mean "recipients"?',
  )
})

test('the shipped default configuration refuses nothing, stamps, logs, and says what it found', async () => {
  const { default: config } = await import('../../src/defaults/config.ts')
  const state = mkdtempSync(join(tmpdir(), 'milterhost-state-'))
  vi.stubEnv('STATE_DIRECTORY', state)
  try {
    await using host = await testConfig(config, { dns: fakeDns({ 'example.net': { txt: ['v=spf1 -all'] } }) })
    const { message, replies } = await host.deliver({ from: 'a@example.net', to: 'b@example.com' })
    expect(replies.filter(({ verdict }) => verdict.kind !== 'continue')).toEqual([])
    const [results, stamp] = message?.headers ?? []
    expect(results).toMatchObject({ name: 'Authentication-Results', value: expect.stringContaining('spf=fail') })
    expect(stamp).toMatchObject({ name: 'X-Milterhost', value: expect.stringMatching(/^\S+ test1\.1$/) })
    expect(host.logs).toContainEqual(
      expect.objectContaining({
        message: 'message settled',
        fields: expect.objectContaining({ from: 'a@example.net', to: ['b@example.com'], outcome: 'accept' }),
      }),
    )
  } finally {
    vi.unstubAllEnvs()
    rmSync(state, { recursive: true, force: true })
  }
})
