/** Replay: the same configuration changes nothing, another one what it changes and nothing else. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { socket } from '../../../src/bridge/milter/index.ts'
import type { Config } from '../../../src/host/config/config.ts'
import { definePlugin, quarantine, reject, tempfail } from '../../../src/plugin.ts'
import { fromScenario } from '../../../src/testing/recording/scenario-form.ts'
import { changeWords, compare, type MessageChange } from '../../../src/testing/replay/compare.ts'
import { parseScenarios } from '../../../src/testing/scenario/parse.ts'
import {
  connect,
  content,
  helo,
  mail,
  played,
  quit,
  rcpt,
  recordedUnder,
  recordingText,
  session,
  someSessions,
} from './sessions.ts'

/** Learns over time, and forgets with its process. */
const learning = definePlugin({
  name: 'learning',
  setup: host => {
    const seen = new Map<string, number>()
    return {
      rcpt(event) {
        const key = `${event.sender.address} ${event.recipient.address}`
        const first = seen.get(key)
        if (first === undefined) seen.set(key, host.clock.now())
        if (first === undefined || host.clock.now() < first + 300_000)
          return tempfail('Come back', { enhanced: '4.7.1' })
      },
    }
  },
})

const holding = definePlugin({
  name: 'holding',
  setup: () => ({
    async mail(event) {
      if (event.sender.address.startsWith('b@')) await event.hold(20)
    },
  }),
})

const looking = definePlugin({
  name: 'looking',
  setup: () => ({
    rcpt: event => (event.recipient.local === 'nobody' ? reject('Not here', { code: 550 }) : undefined),
    end(event) {
      const subject = event.header('Subject')?.value ?? ''
      event.edit.prependHeader('X-Seen', subject)
      if (subject === 'virus') return quarantine('a virus')
      if (subject === '') throw new Error('no subject')
    },
  }),
})

const today: Config = { filters: [holding(), looking(), learning()] }

/** A recording, by way of its text. */
const read = (text: string) => fromScenario(parseScenarios(text, 'r.scenario')[0]!)

async function changesUnder(config: Config, texts: readonly string[]): Promise<(MessageChange & { id: string })[]> {
  const sessions = texts.map(read)
  const came = await played(config, sessions)
  return sessions.flatMap(one =>
    compare(one, one.turns, came.get(one.id)!).changes.map(change => ({ id: one.id, ...change })),
  )
}

describe('replay', () => {
  it('under the same configuration finds no difference', async () => {
    await fc.assert(
      fc.asyncProperty(someSessions, async sessions => {
        const texts = (await recordedUnder(today, sessions)).map(recordingText)
        expect(await changesUnder(today, texts)).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  it('takes a recording for what it was', async () => {
    await fc.assert(
      fc.asyncProperty(someSessions, async sessions => {
        for (const recorded of await recordedUnder(today, sessions)) {
          const text = recordingText(recorded)
          expect(recordingText(read(text))).toBe(text)
        }
      }),
      { numRuns: 30 },
    )
  })

  const planted = definePlugin({
    name: 'planted',
    setup: () => ({
      mail: event =>
        event.sender.address === 'spam@example.net' ? reject('Go away', { enhanced: '5.7.0' }) : undefined,
    }),
  })

  it('finds what one more filter refuses, and nothing else', async () => {
    const conversation = (id: string, began: number, sender: string) =>
      session(id, began, [
        [0, connect('192.0.2.1')],
        [1, helo],
        [1, mail(sender)],
        [1, rcpt('a@example.com')],
        [1, rcpt('nobody@example.com')],
        [1, { kind: 'data' }],
        [1, content('hello')],
        [1, quit],
      ])
    const sessions = ['a@example.org', 'spam@example.net', 'c@example.org'].map((sender, n) =>
      conversation(`s${n}`, n * 1_000, sender),
    )
    const config: Config = { filters: [looking()] }
    const texts = (await recordedUnder(config, sessions)).map(recordingText)
    expect(await changesUnder({ filters: [planted(), looking()] }, texts)).toEqual([
      {
        id: 's1',
        sender: '<spam@example.net>',
        recipients: ['<a@example.com>', '<nobody@example.com>'],
        outcome: {
          from: { verdict: 'accept', reply: null, by: null },
          to: { verdict: 'reject', reply: '550 5.7.0', by: 'planted' },
        },
        answers: [],
        filters: [{ filter: 'planted', from: '-', to: 'reject 550 5.7.0', edits: [] }],
      },
    ])
  })

  it('tells other edits, other answers to recipients, and a refusal that is gone', async () => {
    const sessions = [
      session('s', 0, [
        [0, connect('192.0.2.1')],
        [1, helo],
        [1, mail('a@example.org')],
        [1, rcpt('nobody@example.com')],
        [1, rcpt('a@example.com')],
        [1, { kind: 'data' }],
        [1, content('hello')],
        [1, mail('a@example.org')],
        [1, rcpt('nobody@example.com')],
        [1, quit],
      ]),
    ]
    const texts = (await recordedUnder({ filters: [looking()] }, sessions)).map(recordingText)
    const other = definePlugin({
      name: 'looking',
      setup: () => ({ end: event => event.edit.prependHeader('X-Seen', 'otherwise') }),
    })
    const [first, second, ...more] = await changesUnder({ filters: [other()] }, texts)
    expect(more).toEqual([])
    expect(first).toMatchObject({
      outcome: null,
      answers: [{ recipient: '<nobody@example.com>', from: 'reject 550 5.7.1', to: 'accept' }],
    })
    expect(first!.filters.flatMap(({ edits }) => edits)).toEqual([
      expect.stringMatching(/^- insertHeader \d+ "X-Seen" " ?hello"$/),
      expect.stringMatching(/^\+ insertHeader \d+ "X-Seen" " ?otherwise"$/),
    ])
    expect(first!.filters.map(changeWords)).toEqual(['reject 550 5.7.1 → continue', 'continue, with other changes'])
    expect(second!.outcome).toMatchObject({ from: { verdict: 'reject', by: 'looking' }, to: { verdict: 'goes on' } })
  })

  it('lets external milters answer as they did, with their edits, and says where they were not asked', async () => {
    const scanner = definePlugin({
      name: 'scanner',
      setup: () => ({
        rcpt: event => (event.recipient.local === 'b' ? tempfail('Later', { enhanced: '4.7.1' }) : undefined),
        end: event => event.edit.prependHeader('X-Scanned', 'yes'),
      }),
    })
    const later = definePlugin({
      name: 'later',
      setup: () => ({
        end: event => event.edit.prependHeader('X-Later', `scanned: ${event.header('X-Scanned')?.value ?? 'no'}`),
      }),
    })
    const sessions = [
      session('s', 0, [
        [0, connect('192.0.2.1')],
        [1, helo],
        [1, mail('a@example.org')],
        [1, rcpt('b@example.com')],
        [1, rcpt('a@example.com')],
        [1, { kind: 'data' }],
        [1, content('hello')],
        [1, quit],
      ]),
    ]
    const texts = (await recordedUnder({ filters: [scanner(), later()] }, sessions)).map(recordingText)
    const milter = socket('scanner', 'unix:/nowhere/at.all')
    expect(await changesUnder({ filters: [milter, later()] }, texts)).toEqual([])
    const renamed = socket('fresh', 'unix:/nowhere/at.all')
    const changed = await changesUnder({ filters: [renamed, later()] }, texts)
    expect(changed[0]!.filters.map(({ filter }) => filter)).toContain('later')
  })
})
