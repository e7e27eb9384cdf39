import { expect, test } from 'vitest'
import { type RawMilter, type RawMilterScript, rawMilter, strings } from '../../interop/harness/index.ts'
import { type FilterSetup, filterAt, type Play, playAt } from './play.ts'

/** The macros of each D packet as `letter name=value ..`. */
const told = (milter: RawMilter): string[] =>
  milter.received('D').map(({ data }) => {
    const parts = strings(data.subarray(1))
    const pairs = parts.flatMap((name, i) => (i % 2 === 0 ? [`${name}=${parts[i + 1]}`] : []))
    return [String.fromCharCode(data[0]!), ...pairs].join(' ')
  })

const POSTFIX: [Parameters<Play['tell']>[0], Record<string, string>][] = [
  ['connect', { j: 'mx.example', daemon_name: 'smtpd', v: 'Postfix 3.7.11' }],
  ['helo', {}],
  ['mail', { mail_addr: 'alice@a.example', auth_type: 'PLAIN' }],
  ['rcpt', { rcpt_addr: 'bob@b.example' }],
  ['data', { i: '4ABC' }],
  ['eoh', {}],
  ['eom', { i: '4ABC' }],
]

async function conversation(script: RawMilterScript, setup: FilterSetup = {}): Promise<RawMilter> {
  const milter = await rawMilter(script)
  const play = playAt(milter.address, setup)
  for (const [stage, values] of POSTFIX) {
    if (stage !== 'eoh' && stage !== 'eom') play.tell(stage, values)
    if (stage === 'connect') await play.connect()
    if (stage === 'helo') await play.helo()
    if (stage === 'mail') await play.mail()
    if (stage === 'rcpt') await play.rcpt()
    if (stage === 'data') await play.data()
  }
  play.tell('eom', { i: '4ABC' })
  await play.unknown()
  await play.message()
  return milter
}

test('without a list of its own a milter gets what the MTA told at each stage, and the queue id once there is one', async () => {
  expect(told(await conversation({}))).toEqual([
    'C j=mx.example {daemon_name}=smtpd v=Postfix 3.7.11',
    'M {mail_addr}=alice@a.example {auth_type}=PLAIN',
    'R {rcpt_addr}=bob@b.example',
    'T i=4ABC',
    'N i=4ABC',
    'E i=4ABC',
  ])
})

test('a list of its own is looked up at all stages and sent in its order, an empty one means none', async () => {
  const symlist = { 0: 'v j', 2: '', 3: '{auth_type}, {mail_addr} {nonsense}', 5: '{rcpt_addr},i', 6: 'i j' }
  expect(told(await conversation({ symlist }))).toEqual([
    'C v=Postfix 3.7.11 j=mx.example',
    'R {auth_type}=PLAIN {mail_addr}=alice@a.example',
    'T i=4ABC',
    'N i=4ABC j=mx.example',
    'E {rcpt_addr}=bob@b.example i=4ABC',
  ])
})

test('the configuration adds names and values, its values win, and its names are asked of the MTA', async () => {
  const macros = {
    connect: { if_addr: '192.0.2.1', j: 'other.example' },
    helo: ['{daemon_name}'],
    mail: { v: true },
  } as const
  const milter = await conversation({ symlist: { 2: 'i {auth_type}' } }, { macros })
  expect(told(milter).slice(0, 3)).toEqual([
    'C j=other.example {daemon_name}=smtpd v=Postfix 3.7.11 {if_addr}=192.0.2.1',
    'H {daemon_name}=smtpd',
    'M {auth_type}=PLAIN v=Postfix 3.7.11',
  ])
  const filter = filterAt(milter.address, { macros })
  await filter.probe(new AbortController().signal)
  expect(Object.fromEntries(filter.needs()!.macros)).toEqual({
    helo: ['daemon_name'],
    mail: ['i', 'auth_type', 'v'],
  })
})

test('macros come only before C, H, M, R, T, N and E, in the same write as the command', async () => {
  const milter = await conversation({ symlist: { 6: 'j' } })
  expect(milter.letters()).toBe('ODCHDMDRDTDNBDE'.replace('DN', 'LDN'))
})
