// What docs/mta-differences.md says, on both MTAs: filters of one chain that speak different versions and ask for different things see one
// behaviour, whichever MTA is in front.

import { type FilterEntry, socket } from 'milterhost'
import { beforeAll, describe, expect, test } from 'vitest'
import { letter } from '../chain/letter.ts'
import { startHost } from '../harness/host.ts'
import {
  type Mta,
  type Postfix,
  type RawMilter,
  rawMilter,
  requirePrograms,
  smtp,
  startPostfix,
  startSendmail,
  strings,
} from '../harness/index.ts'

const FROM = 'alice@example.com'
const TO = 'bob@example.net'
const STRANGER = 'carol@elsewhere.invalid'
const RCPT_REJ = 0x800
/** Numbers of the lists of macros. */
const STAGE = { connect: 0, mail: 2, rcpt: 3, eom: 5 }

interface Chain {
  /** Version 6: told of refused recipients, asks for macros, one of which no MTA has. */
  modern: RawMilter
  /** Version 2, as milters of 2005. */
  ancient: RawMilter
  /** Offered version 4, with macros given in the configuration. */
  offered: RawMilter
  entries: FilterEntry[]
}

async function chain(): Promise<Chain> {
  const modern = await rawMilter({
    protocol: RCPT_REJ,
    symlist: {
      [STAGE.connect]: 'j {client_port} {daemon_port} {no_such_macro}',
      [STAGE.mail]: 'i {mail_addr}',
      [STAGE.rcpt]: '{rcpt_addr} {rcpt_mailer}',
      [STAGE.eom]: 'i',
    },
  })
  const ancient = await rawMilter({ version: 2 })
  const offered = await rawMilter()
  return {
    modern,
    ancient,
    offered,
    entries: [
      socket('modern', modern.address),
      socket('ancient', ancient.address),
      socket('offered', offered.address, { version: 4, macros: { mail: { auth_ssf: '256' } } }),
    ],
  }
}

/** The macros that were told before the last command of that letter. */
function macros({ log }: RawMilter, letterOf: string): Map<string, string> {
  const packet = log.findLast(
    ({ direction, command, data }) =>
      direction === 'in' && command === 'D' && String.fromCharCode(data[0]!) === letterOf,
  )
  const words = packet === undefined ? [] : strings(packet.data.subarray(1))
  return new Map(
    words.flatMap((name, at): [string, string][] =>
      at % 2 === 0 ? [[name.replace(/^\{(.*)\}$/, '$1'), words[at + 1] ?? '']] : [],
    ),
  )
}

const recipients = (milter: RawMilter): string[] => milter.received('R').map(({ data }) => strings(data)[0]!)

/** Both refuse the stranger themselves. Sendmail tells nobody of those that its rulesets refuse, whoever asks for it. */
const starters = {
  postfix: (milters: string[]): Promise<Mta> =>
    startPostfix({
      milters,
      settings: { smtpd_recipient_restrictions: `check_recipient_access inline:{{${STRANGER}=REJECT}}, permit` },
    }),
  sendmail: (milters: string[]): Promise<Mta> =>
    startSendmail({
      milters,
      mc: ['LOCAL_RULESETS', 'SLocal_check_rcpt', `R$* ${STRANGER} $*\t$#error $@ 5.7.1 $: "550 5.7.1 Not here"`],
    }),
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind)(`levelling ${kind}`, () => {
    let mta: Mta
    let links: Chain
    let queued: string

    beforeAll(async () => {
      links = await chain()
      const host = await startHost({ filters: links.entries })
      mta = await starters[kind]([host.address])
      const client = await smtp(mta.port)
      await client.command('EHLO client.example')
      await client.command('XYZZY to be told')
      expect((await client.command(`MAIL FROM:<${FROM}>`)).code).toBe(250)
      expect((await client.command(`RCPT TO:<${TO}>`)).code).toBe(250)
      expect((await client.command(`RCPT TO:<${STRANGER}>`)).code).toBeGreaterThanOrEqual(450)
      expect((await client.command('DATA')).code).toBe(354)
      const end = await client.content(letter('levelled'))
      expect(end.code).toBe(250)
      queued = end.text
      await client.quit()
      await mta.waitForDeliveries(1)
    })

    test('versions 2, 4 and 6 work in one chain, each told what it knows', () => {
      const { modern, ancient, offered } = links
      const version = (milter: RawMilter): number => milter.received('O')[0]!.data.readUInt32BE(0)
      expect([version(modern), version(ancient), version(offered)]).toEqual([6, 6, 4])
      expect(modern.letters()).toMatch(/T/)
      expect(offered.letters()).toMatch(/T/)
      expect(ancient.letters()).not.toMatch(/[TU]/)
      for (const milter of [modern, ancient, offered]) expect(milter.received('E')).toHaveLength(1)
    })

    test('a macro that the MTA has is told, one that it lacks is left out', () => {
      const told = macros(links.modern, 'C')
      expect(told.get('j')).toBe('mx.rig.example')
      expect(told.get('client_port')).toMatch(/^\d+$/)
      expect(told.get('daemon_port')).toBe(String(mta.port))
      expect(told.has('no_such_macro')).toBe(false)
    })

    test('a macro given in the configuration reaches that milter alone', () => {
      expect(macros(links.offered, 'M').get('auth_ssf')).toBe('256')
      expect(macros(links.ancient, 'M').get('auth_ssf')).not.toBe('256')
    })

    test('a message has an id at MAIL, and the queue id of the MTA at its end', () => {
      const early = macros(links.modern, 'M').get('i')
      const late = macros(links.modern, 'E').get('i')
      expect(early).toMatch(/^\w{6,}/)
      expect(queued).toContain(late)
      if (kind === 'sendmail') expect(early).toBe(late)
    })

    test('a refused recipient is told to the milter that asks for it, and to no other', () => {
      const told = kind === 'postfix' ? [`<${TO}>`, `<${STRANGER}>`] : [`<${TO}>`]
      expect(recipients(links.modern)).toEqual(told)
      if (kind === 'postfix') expect(macros(links.modern, 'R').get('rcpt_mailer')).toBe('error')
      expect(recipients(links.ancient)).toEqual([`<${TO}>`])
      expect(recipients(links.offered)).toEqual([`<${TO}>`])
    })

    test('an unknown command is told to milters whose version has it', () => {
      expect(links.modern.received('U').map(({ data }) => strings(data)[0])).toEqual([
        expect.stringMatching(kind === 'postfix' ? /^XYZZY/ : /^XYZZY to be told$/),
      ])
      expect(links.ancient.received('U')).toEqual([])
    })
  })
}

requirePrograms('postfix')('mail that did not come by SMTP', () => {
  describe('behind Postfix', () => {
    test('has a client localhost with port 0, and addresses in angle brackets', async () => {
      const milter = await rawMilter()
      const host = await startHost({ filters: [socket('milter', milter.address)] })
      const mta: Postfix = await startPostfix({ nonSmtpdMilters: [host.address] })
      await mta.submit(letter('local'), { from: FROM, to: [TO] })
      await mta.waitForDeliveries(1)
      const connect = milter.received('C')[0]!.data
      const name = strings(connect.subarray(0, connect.indexOf(0) + 1))[0]
      expect(name).toBe('localhost')
      const rest = connect.subarray(connect.indexOf(0) + 1)
      expect(String.fromCharCode(rest[0]!)).toBe('4')
      expect(rest.readUInt16BE(1)).toBe(0)
      expect(milter.received('M').map(({ data }) => strings(data)[0])).toEqual([`<${FROM}>`])
      expect(recipients(milter)).toEqual([`<${TO}>`])
    })
  })
})

requirePrograms('postfix', 'sendmail')('the address of the socket', () => {
  test.each(['unix', 'inet'])('is spelt for each MTA in its own way (%s)', async listen => {
    const milter = await rawMilter()
    const host = await startHost({ listen, filters: [socket('milter', milter.address)] })
    const equates = `S=${host.sendmailAddress}, F=T, T=C:30s;S:30s;R:30s;E:5m`
    const mtas = await Promise.all([startPostfix({ milters: [host.address] }), startSendmail({ milters: [equates] })])
    for (const mta of mtas) {
      const client = await smtp(mta.port)
      const { end } = await client.mail({ from: FROM, to: TO, data: letter(`spelt ${mta.kind}`) })
      expect(end?.code).toBe(250)
      await client.quit()
    }
    expect(milter.received('E')).toHaveLength(2)
  })
})
