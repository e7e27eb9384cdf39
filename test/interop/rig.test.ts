// The rig checks itself: real Postfix, Sendmail and milters start, carry a message and are gone, and the test doubles of the
// harness speak the protocol those speak. Nothing of the product takes part.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type Mta,
  mtaClient,
  rawMilter,
  requirePrograms,
  smtp,
  startMilter,
  startPostfix,
  startSendmail,
  strings,
} from './harness/index.ts'

const MESSAGE = 'From: a@example.com\r\nTo: b@example.net\r\nSubject: one\r\n\r\nHello\r\n.dot\r\n'

/** Pids of processes whose command line names the folder. */
function processesOf(dir: string): string[] {
  return readdirSync('/proc').filter(pid => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(dir)
    } catch (error) {
      // it ended while we looked
      if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
      throw error
    }
  })
}

const starters = {
  postfix: (milter: string): Promise<Mta> => startPostfix({ milters: [milter] }),
  sendmail: (milter: string): Promise<Mta> => startSendmail({ milters: [milter] }),
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind, 'pymilter')(`a private ${kind}`, () => {
    test('delivers mail that a libmilter milter edited, and leaves no process behind', async () => {
      const milter = await startMilter('pymilter')
      const mta = await starters[kind](milter.address)
      const client = await smtp(mta.port)
      const data = MESSAGE.replace('\r\n\r\n', '\r\nX-Milter-Do: chgheader Subject 1 two\r\n\r\n')
      const replies = await client.mail({ from: 'a@example.com', to: ['b@example.net', 'reject@example.net'], data })
      await client.quit()
      expect(replies.rcpt.map(reply => reply.code)).toEqual([250, 550])
      expect(replies.end?.code).toBe(250)
      const [delivery] = await mta.waitForDeliveries(1)
      expect(delivery).toMatchObject({ sender: 'a@example.com', recipients: ['b@example.net'] })
      expect(delivery?.raw.toString('latin1')).toMatch(/^X-Rig-Milter: pymilter\r$/m)
      expect(delivery?.raw.toString('latin1')).toMatch(/^Subject: two\r$/m)
      expect(delivery?.raw.toString('latin1')).toMatch(/\r\n\r\nHello\r\n\.dot\r\n$/)
      await mta.waitForLog(/X-Rig-Milter|b@example\.net/)

      expect(processesOf(mta.dir)).not.toEqual([])
      await mta.stop()
      await milter.stop()
      expect(processesOf(mta.dir)).toEqual([])
      expect(processesOf(milter.dir)).toEqual([])
    })

    test('gives the scripted milter its commands and its client the scripted replies', async () => {
      const milter = await rawMilter({
        on: {
          R: packet =>
            strings(packet.data)[0]?.startsWith('<no') ? [['y', '551-5.7.1 Not\r\n551 5.7.1 here']] : undefined,
          E: [['h', 'X-Raw', 'seen'], 'a'],
        },
      })
      const mta = await starters[kind](milter.address)
      onTestFinished(() => mta.stop())
      const client = await smtp(mta.port, { localAddress: '127.0.0.9' })
      const replies = await client.mail({ from: '', to: ['no@example.net', 'yes@example.net'], data: MESSAGE })
      await client.quit()
      expect(replies.rcpt[0]?.text).toBe('551-5.7.1 Not\r\n551 5.7.1 here\r\n')
      expect(replies.last.code).toBe(250)
      const [delivery] = await mta.waitForDeliveries(1)
      expect(delivery).toMatchObject({ sender: '', recipients: ['yes@example.net'] })
      expect(delivery?.raw.toString('latin1')).toMatch(/^X-Raw: seen\r$/m)
      await milter.waitFor('the MTA ends the session', log => log.some(entry => entry.direction === 'close'))
      expect(milter.letters().replaceAll('D', '')).toMatch(/^OCHMRRTL+NBEA*Q$/)
      expect(strings(milter.received('M')[0]?.data ?? Buffer.alloc(0))[0]).toBe('<>')
      expect(milter.open()).toBe(0)
    })
  })
}

requirePrograms('postfix')('the options of a private postfix', () => {
  test('let clients authenticate over TLS, and local mail past another milter', async () => {
    const milter = await rawMilter()
    const local = await rawMilter({ on: { E: [['h', 'X-Local', 'seen'], 'c'] } })
    const mta = await startPostfix({
      milters: [`{ ${milter.address}, default_action=accept }`],
      nonSmtpdMilters: [local.address],
      settings: { milter_protocol: '4' },
      sasl: ['user:secret'],
      tls: true,
      inet6: true,
      maxproc: 5,
    })
    const client = await smtp(mta.port, { host: '::1' })
    await client.command('EHLO client.example')
    expect((await client.startTls()).code).toBe(220)
    await client.command('EHLO client.example')
    const login = Buffer.from('\0user\0secret').toString('base64')
    expect((await client.command(`AUTH PLAIN ${login}`)).code).toBe(235)
    expect(
      (await client.pipeline('MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.net>', 'RSET')).map(r => r.code),
    ).toEqual([250, 250, 250])
    await client.quit()
    expect(milter.received('O')[0]?.data.readUInt32BE(0)).toBe(4)
    const macros = milter.received('D').find(entry => entry.data.toString('latin1').startsWith('M'))
    expect(strings(macros?.data.subarray(1) ?? Buffer.alloc(0))).toContain('user@example.com')

    await mta.submit(MESSAGE.replaceAll('\r\n', '\n'), { from: 'a@example.com', to: ['b@example.net'] })
    const [delivery] = await mta.waitForDeliveries(1)
    expect(delivery?.raw.toString('latin1')).toMatch(/^X-Local: seen\r$/m)
    expect(local.received('C')).toHaveLength(1)
  })
})

describe('the scripted MTA client', () => {
  test('agrees with the scripted milter on what is sent, and gathers its edits', async () => {
    const milter = await rawMilter({
      protocol: 0x80 | 0x40 | 0x200,
      symlist: { 0: 'j {client_addr}' },
      on: { B: ['s'], E: [['b', 'new\r\n'], 'p', ['i', 0, 'X', 'é'], ['y', '451 4.7.1 later']] },
    })
    const mta = await mtaClient(milter.address, { actions: 0x3 })
    expect(await mta.negotiate()).toEqual({ version: 6, actions: 3, protocol: 0x2c0, macros: { 0: 'j {client_addr}' } })
    await mta.connect()
    await mta.helo()
    const raw = `${MESSAGE}${'x'.repeat(200_000)}\r\n`
    const { answers, edits, verdict } = await mta.message({ from: '<a@example.com>', to: ['<b@example.net>'], raw })
    expect(answers).toEqual([
      ['M', 'c'],
      ['R', 'c'],
      ['B', 's'],
      ['E', 'y'],
    ])
    expect(edits.map(edit => edit.command)).toEqual(['b', 'i'])
    expect(edits[1]?.data).toEqual(Buffer.from('\0\0\0\0X\0\xe9\0', 'latin1'))
    expect(strings(verdict.data)).toEqual(['451 4.7.1 later'])
    await mta.quit()
  })

  test('sees garbage, drips, resets and silence for what they are', async () => {
    const milter = await rawMilter({
      on: {
        H: [['drip', '\0\0\0\x01c', 0.01]],
        M: (_, turn) => (turn.seen === 0 ? [['hang']] : undefined),
        C: (_, turn) =>
          turn.connection === 2 ? [['rst']] : turn.connection === 3 ? [['raw', '\0\0\0\x02zz'], ['close']] : undefined,
      },
    })
    const first = await mtaClient(milter.address)
    await first.negotiate()
    await first.connect()
    expect((await first.helo()).map(packet => packet.command)).toEqual(['c'])
    first.send('M', '<a@example.com>\0')
    expect(await first.silent(0.1)).toBe(true)
    first.abortRst()

    const second = await mtaClient(milter.address)
    await second.negotiate()
    await expect(second.connect()).rejects.toThrow(/ECONNRESET|closed/)

    const third = await mtaClient(milter.address)
    await third.negotiate()
    third.send('C', '')
    expect(await third.read()).toEqual({ command: 'z', data: Buffer.from('z') })
    await third.closed
    await milter.waitFor('all are closed', log => log.filter(entry => entry.direction === 'close').length === 3)
  })
})

requirePrograms('opendkim')('OpenDKIM', () => {
  test('signs, and its verifier accepts the signature', async () => {
    const [signer, verifier] = [await startMilter('opendkim-sign', 'inet'), await startMilter('opendkim-verify')]
    const raw = `${MESSAGE.replace('\r\n\r\n', '\r\nDate: Tue, 24 Nov 2026 01:00:00 +0000\r\n\r\n')}`
    const envelope = { from: '<a@example.com>', to: ['<b@example.net>'] }
    const signing = await mtaClient(signer.address)
    await signing.negotiate()
    await signing.connect()
    const signed = await signing.message({ ...envelope, raw })
    const [name, value = ''] = strings(
      signed.edits.find(edit => 'hi'.includes(edit.command))?.data.subarray(4) ?? Buffer.alloc(0),
    )
    expect(name).toBe('DKIM-Signature')

    const verifying = await mtaClient(verifier.address)
    await verifying.negotiate()
    await verifying.connect()
    const verified = await verifying.message({ ...envelope, raw: `DKIM-Signature:${value}\r\n${raw}` })
    expect(verified.edits.map(edit => edit.data.toString('latin1')).join('\n')).toMatch(
      /Authentication-Results\0.*dkim=pass/s,
    )
  })
})
