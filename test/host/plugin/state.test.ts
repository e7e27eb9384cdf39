/** Lifetimes: what a plugin keeps for a connection and for a message, and what filters tell each other. */
import { expect, test } from 'vitest'
import { definePlugin, resultKey } from '../../../src/plugin.ts'
import { Conversation, converse, create, path, snapshot, withHooks } from './harness.ts'

const counting = (): { plugin: ReturnType<typeof definePlugin>; made: string[]; seen: string[] } => {
  const made: string[] = []
  const seen: string[] = []
  let serial = 0
  const fresh = (what: string) => () => {
    made.push(what)
    return { id: `${what}${++serial}` }
  }
  const plugin = definePlugin({
    name: 'probe',
    connection: fresh('connection'),
    message: fresh('message'),
    setup: () => ({
      connect: event => void seen.push(`connect ${event.connection.id}`),
      helo: event => void seen.push(`helo ${event.connection.id}`),
      mail: event => void seen.push(`mail ${event.connection.id} ${event.message.id}`),
      rcpt: event => void seen.push(`rcpt ${event.connection.id} ${event.message.id}`),
      end: event => void seen.push(`end ${event.connection.id} ${event.message.id}`),
      settled: event => void seen.push(`settled ${event.connection.id} ${event.message.id} ${event.outcome}`),
    }),
  })
  return { plugin, made, seen }
}

test('state of the connection lasts for all its messages, state of the message for one', async () => {
  const { plugin, seen } = counting()
  const conversation = await converse(plugin)
  await conversation.deliver()
  conversation.session.settled?.('accept')
  await conversation.mail()
  conversation.session.abort()
  conversation.session.settled?.('aborted')
  conversation.session.close()
  expect(seen).toEqual([
    'connect connection1',
    'helo connection1',
    'mail connection1 message2',
    'rcpt connection1 message2',
    'end connection1 message2',
    'settled connection1 message2 accept',
    'mail connection1 message3',
    'settled connection1 message3 aborted',
  ])
})

test('two connections share no state', async () => {
  const { plugin, seen } = counting()
  const filter = await create(plugin())
  await new Conversation(filter).connect()
  await new Conversation(filter).connect()
  expect(seen).toEqual(['connect connection1', 'connect connection2'])
})

test('state is made even if the first hook is late in the message', async () => {
  const plugin = definePlugin({
    name: 'probe',
    connection: () => ({ n: 1 }),
    message: () => ({ m: 2 }),
    setup: () => ({ end: event => event.edit.appendHeader('X', `${event.connection.n} ${event.message.m}`) }),
  })
  const { edits } = await (await converse(plugin)).deliver()
  expect(edits).toMatchObject([{ value: ' 1 2' }])
})

test('settled is told once a message', async () => {
  const { plugin, seen } = counting()
  const conversation = await converse(plugin)
  await conversation.deliver()
  conversation.session.settled?.('accept')
  conversation.session.settled?.('accept')
  expect(seen.filter(line => line.startsWith('settled'))).toHaveLength(1)
})

test.each([
  ['client-left', 'client-left'],
  ['mta-abort', 'aborted'],
  ['shutdown', 'tempfail'],
])('a session closed while its signal says %s is settled as %s', async (kind, outcome) => {
  const outcomes: string[] = []
  const conversation = await converse(
    withHooks({ rcpt: () => new Promise<void>(() => {}), settled: event => void outcomes.push(event.outcome) }),
  )
  await conversation.mail()
  void conversation.rcpt()
  conversation.controller.abort({ kind, detail: '' })
  conversation.session.close()
  expect(outcomes).toEqual([outcome])
})

test('a result of the connection is there in every message, one of the message only in its own', async () => {
  const ofConnection = resultKey<string>('of-connection')
  const ofMessage = resultKey<string>('of-message')
  const seen: unknown[] = []
  const conversation = await converse(
    withHooks({
      connect: event => event.publish(ofConnection, 'c'),
      mail(event) {
        seen.push(event.result(ofConnection), event.result(ofMessage))
        event.publish(ofMessage, event.sender.address)
      },
      end: event => void seen.push(event.result(ofMessage)),
    }),
  )
  await conversation.deliver()
  conversation.results.endMessage()
  await conversation.mail(path('<b@example.net>'), 'm2')
  expect(seen).toEqual(['c', undefined, 'sender@example.net', 'c', undefined])
})

test('keys are known by name, so that two copies of a package understand each other', async () => {
  const seen: unknown[] = []
  const conversation = await converse(
    withHooks({
      connect: event => event.publish(resultKey<number>('spf'), 1),
      helo: event => void seen.push(event.result(resultKey<number>('spf'))),
    }),
  )
  await conversation.connect()
  await conversation.helo()
  expect(seen).toEqual([1])
})

test('hooks that await nothing are answered in the same tick', async () => {
  const conversation = await converse(
    withHooks({
      connect() {},
      helo() {},
      mail() {},
      rcpt() {},
      data() {},
      headers() {},
      body() {},
      end: event => event.edit.replaceBody('new'),
    }),
  )
  expect(conversation.connect()).not.toBeInstanceOf(Promise)
  expect(conversation.helo()).not.toBeInstanceOf(Promise)
  expect(conversation.mail()).not.toBeInstanceOf(Promise)
  expect(conversation.rcpt()).not.toBeInstanceOf(Promise)
  expect(conversation.data()).not.toBeInstanceOf(Promise)
  const answer = conversation.message(snapshot({ body: ['a', 'b'] }))
  expect(answer).not.toBeInstanceOf(Promise)
  expect(answer).toMatchObject({ verdict: { kind: 'continue' }, edits: [{ kind: 'replaceBody' }] })
})

test('hold is passed to the host, and only with a number of seconds', async () => {
  const held: number[] = []
  const answers: unknown[] = []
  const hold = async (seconds: number): Promise<'client-left'> => {
    held.push(seconds)
    return 'client-left'
  }
  const conversation = await converse(
    withHooks({
      async rcpt(event) {
        answers.push(await event.hold(2.5))
        for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5s'])
          answers.push(await event.hold(wrong as number).catch((error: { code: string }) => error.code))
      },
    }),
    { hold },
  )
  await conversation.mail()
  await conversation.rcpt()
  expect(held).toEqual([2.5])
  expect(answers).toEqual(['client-left', ...Array(4).fill('PLUGIN_ARGUMENT')])
})
