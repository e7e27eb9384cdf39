/**
 * Every capture, replayed: milterhost between the captured MTA and the captured milter, or no filter, or one that does nothing,
 * gives the MTA the same verdicts and the milter the same conversation. New captures take part by lying in the folder.
 */
import { describe, expect, test } from 'vitest'
import type { Capture } from '../captures/read.ts'
import { startHost } from '../interop/harness/host.ts'
import { type Packet, strings } from '../interop/harness/index.ts'
import { captures, hostOfCaptured, type OnFailure, offers, type Replayed, replay, transparent } from './chains.ts'
import { type Conversation, conversationsOf, editsIn, type Turn, verdictIn } from './conversation.ts'
import { capturedVerdicts, meaningOf, nobodysVerdicts, noOpinion, type Verdicts } from './expectation.ts'
import type { Told } from './milter.ts'
import { deliberate, type FoundAt, misbehaving } from './misbehaving.ts'
import type { Answered } from './mta.ts'

const wellBehaved = captures.filter(({ scenario }) => misbehaving[scenario] === undefined)
const illBehaved = captures.filter(({ scenario }) => misbehaving[scenario] !== undefined)

const shown = (packet: Packet | null): string =>
  packet === null ? '-' : `${packet.command} ${packet.data.toString('latin1')}`

/** The verdict of each answered command against what it must be; at most one answer each, and none that nobody waits for. */
function expectVerdicts(where: string, { played }: Replayed, verdicts: Verdicts): void {
  const lines = (verdict: (answered: Answered) => Packet | null): string[] =>
    played.answered
      .filter(({ packets }) => packets.length > 0)
      .map(each => `${each.turn.command}: ${shown(verdict(each))}`)
  expect(
    lines(({ packets }) => verdictIn(packets)),
    where,
  ).toEqual(lines(({ at }) => verdicts[at]!))
  expect(played.stray.map(shown), where).toEqual([])
  expect(played.left, `${where}: the connection was closed`).toBe(false)
}

/** What milterhost asked for at the end of each message, in words; elsewhere there must be nothing. */
function editsOf(where: string, { conversation, played }: Replayed): string[][] {
  const early = played.answered.filter(({ turn, packets }) => turn.command !== 'E' && editsIn(packets).length > 0)
  expect(early, where).toEqual([])
  return played.answered
    .filter(({ turn }) => turn.command === 'E')
    .map(({ at, packets }) => meaningOf(packets, played.agreed, headersBefore(conversation.turns, at)))
}

function headersBefore(turns: readonly Turn[], end: number): string[] {
  const from = turns.slice(0, end).findLastIndex(({ command }) => command === 'M')
  return turns.slice(from + 1, end).flatMap(({ command, data }) => (command === 'L' ? [strings(data)[0]!] : []))
}

describe('a chain without filters', () => {
  test.for(captures)('$name: answers every command once, with "continue"', async capture => {
    const host = await startHost()
    for (const [version, offer] of Object.entries({ captured: undefined, ...offers })) {
      for (const replayed of await replay(host, conversationsOf(capture), offer)) {
        expectVerdicts(version, replayed, nobodysVerdicts(replayed.conversation))
        expect(editsOf(version, replayed).flat(), version).toEqual([])
      }
    }
    await host.stop()
  })
})

describe('a chain of one transparent plugin', () => {
  test.for(captures)('$name: answers every command once, with "continue"', async capture => {
    const host = await startHost({ filters: [transparent()] })
    for (const [version, offer] of Object.entries({ captured: undefined, ...offers })) {
      for (const replayed of await replay(host, conversationsOf(capture), offer)) {
        expectVerdicts(version, replayed, noOpinion(replayed.conversation))
        expect(editsOf(version, replayed).flat(), version).toEqual([])
      }
    }
    await host.stop()
  })
})

describe('a chain of the captured milter alone', () => {
  test.for(wellBehaved)('$name: gives the MTA the captured verdicts and edits', async capture => {
    const { host, milter, conversations, stop } = await hostOfCaptured(capture)
    // At first nobody knows what the milter wants, and it is asked for everything; then it is known.
    const rounds = { unmet: undefined, met: undefined, ...offers }
    for (const [round, offer] of Object.entries(rounds)) {
      for (const replayed of await replay(host, conversations, offer)) {
        expectVerdicts(round, replayed, verdictsOf(capture, replayed.conversation))
        expect(editsOf(round, replayed), round).toEqual(capturedEdits(capture, replayed))
      }
    }
    expect(milter.unexpected).toEqual([])
    expect(host.eventsOf('filter-failed')).toEqual([])
    await stop()
  })

  test.for(wellBehaved)('$name: tells the milter what the captured MTA told it', async capture => {
    const { host, milter, conversations, stop } = await hostOfCaptured(capture)
    for (const round of ['unmet', 'met']) {
      const before = milter.told.length
      await replay(host, conversations)
      for (const told of milter.told.slice(before)) expect(received(told), round).toEqual(captured(told.conversation))
      expect(milter.told.length - before, round).toBe(conversations.length)
    }
    await stop()
  })
})

function verdictsOf({ scenario }: Capture, conversation: Conversation): Verdicts {
  const verdicts = capturedVerdicts(conversation)
  const other = deliberate[scenario]?.verdict
  return other === undefined
    ? verdicts
    : conversation.turns.map(({ replies }, at) => other(verdictIn(replies) ?? verdicts[at]!))
}

/** Of the messages that are kept: an MTA ignores the edits of others, and milterhost does not send them. */
function capturedEdits({ scenario }: Capture, { conversation, played }: Replayed): string[][] {
  return played.answered
    .filter(({ turn }) => turn.command === 'E')
    .map(({ turn, at }) => {
      const kept = 'ca'.includes(verdictIn(turn.replies)?.command ?? 'c')
      if (!kept || deliberate[scenario]?.withoutEdits) return []
      const { agreed, turns } = conversation
      return meaningOf(turn.replies, agreed ?? played.agreed, headersBefore(turns, at))
    })
}

/** What a milter saw of a connection, body packets joined; ABORT left out, since milterhost sends it only where one is due. */
function seen(packets: readonly Packet[]): string[] {
  const lines: string[] = []
  let body = ''
  for (const { command, data } of packets) {
    if (command === 'A' || command === 'Q') continue
    if (command === 'B') body += data.toString('latin1')
    else {
      if (body !== '') lines.push(`B ${body}`)
      body = ''
      lines.push(`${command} ${levelled(command, data.toString('latin1'))}`)
    }
  }
  return body === '' ? lines : [...lines, `B ${body}`]
}

const received = ({ packets }: Told): string[] => seen(packets)

const captured = ({ turns }: Conversation): string[] => seen(turns.filter(({ completed }) => !completed))

/** A filter is told addresses in one spelling, whichever MTA asks. */
function levelled(command: string, text: string): string {
  if (command === 'C') return text.replace(/IPv6:0:0:0:0:0:0:0:1/g, '::1')
  if (command !== 'M' && command !== 'R') return text
  return text.startsWith('<') ? text : text.replace(/^([^\0]*)/, '<$1>')
}

describe('a chain of a milter that broke the protocol', () => {
  const policies: readonly OnFailure[] = ['tempfail', 'reject', 'accept', 'quarantine']
  for (const onFailure of policies) {
    test.for(illBehaved)(
      `$name: with onFailure "${onFailure}" the MTA hears that, in the protocol, once a command`,
      async capture => {
        const { host, conversations, stop } = await hostOfCaptured(capture, onFailure)
        for (const [round, offer] of Object.entries({ unmet: undefined, again: undefined, ...offers })) {
          const failed = host.eventsOf('filter-failed').length
          for (const replayed of await replay(host, conversations, offer)) {
            const foundAt = misbehaving[capture.scenario]!
            expectVerdicts(round, replayed, failureVerdicts(replayed.conversation, foundAt, onFailure))
            const quarantined = onFailure === 'quarantine' ? [['quarantine filter captured failed']] : [[]]
            const reached = replayed.played.answered.some(({ turn }) => turn.command === 'E')
            expect(editsOf(round, replayed), round).toEqual(reached ? quarantined : [])
          }
          expect(host.eventsOf('filter-failed').length - failed, round).toBe(1)
        }
        await stop()
      },
    )
  }
})

function failureVerdicts({ turns }: Conversation, foundAt: FoundAt, onFailure: OnFailure): Verdicts {
  const from = { connect: 'M', mail: 'M', rcpt: 'R', eom: 'E' }[foundAt]
  const first = turns.findIndex(({ command }) => command === from)
  return turns.map(({ command }, at): Packet => {
    const told = at >= first && command !== 'L' && command !== 'N' && command !== 'B'
    if (told && onFailure === 'tempfail') return reply('451 4.7.1 Service unavailable - try again later')
    if (told && onFailure === 'reject') return reply('550 5.7.1 Service unavailable')
    return { command: told && command === 'T' && onFailure === 'accept' ? 'a' : 'c', data: Buffer.alloc(0) }
  })
}

const reply = (text: string): Packet => ({ command: 'y', data: Buffer.from(`${text}\0`, 'latin1') })

describe('the lists of exceptions', () => {
  test('name only scenarios that were captured', () => {
    const scenarios = new Set(captures.map(({ scenario }) => scenario))
    expect([...Object.keys(misbehaving), ...Object.keys(deliberate)].filter(each => !scenarios.has(each))).toEqual([])
  })
})
