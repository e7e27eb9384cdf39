// All that an SMTP session may be, through a chain of plugins and external milters behind a real MTA: every message has exactly
// what is its own, and what the client said reaches filters and recipients to the byte.

import { socket } from 'milterhost'
import { beforeAll, expect, test } from 'vitest'
import { type RunningHost, startHost } from '../harness/host.ts'
import {
  type Mta,
  type Postfix,
  requirePrograms,
  type SmtpClient,
  smtp,
  startMilter,
  startPostfix,
  startSendmail,
  until,
} from '../harness/index.ts'
import { arrived, bySubject, letter } from './letter.ts'
import { sha256, type Witness, witness } from './witness.ts'

const FROM = 'alice@example.com'
const TO = 'bob@example.net'

/** One chain and one MTA for a file's tests of one kind. */
interface Bench {
  host: RunningHost
  mta: Mta
  first: Witness
  second: Witness
}

const starters = {
  postfix: (milters: string[]): Promise<Postfix> =>
    startPostfix({ milters, nonSmtpdMilters: milters, sasl: ['user:secret'], tls: true, inet6: true }),
  sendmail: (milters: string[]): Promise<Mta> =>
    startSendmail({ milters, timeouts: 'C:1m;S:1m;R:1m;E:5m', sasl: ['user:secret'], tls: true, inet6: true }),
}

async function start(kind: Mta['kind']): Promise<Bench> {
  const [first, second] = [witness('X-First', 'unknown'), witness('X-Second')]
  const signer = await startMilter('opendkim-sign')
  const editor = await startMilter('pymilter')
  const host = await startHost({
    filters: [first.entry, socket('opendkim', signer.address), second.entry, socket('pymilter', editor.address)],
  })
  return { host, first, second, mta: await starters[kind]([host.address]) }
}

/** The delivered message, with what every message that went through the whole chain has. */
async function delivered({ mta, first, second }: Bench, subject: string): Promise<ReturnType<typeof arrived>> {
  const sent = await until(`"${subject}" has come`, () => first.find(subject))
  await expect.poll(() => sent.outcome, { timeout: 20_000 }).toBe('accept')
  const stamp = `${sent.id} ${sent.body}`
  const delivery = await expect
    .poll(async () => (await mta.deliveries()).filter(each => arrived(each).all('Subject')[0] === subject), {
      timeout: 30_000,
    })
    .toHaveLength(1)
    .then(async () => bySubject(await mta.deliveries(), subject))
  const message = arrived(delivery)
  expect(message.all('X-First')).toEqual([stamp])
  expect(message.all('X-Second')).toEqual([stamp])
  expect(message.all('X-Rig-Milter')).toEqual(['pymilter'])
  expect(message.all('DKIM-Signature')).toHaveLength(1)
  expect(second.of(subject).body).toBe(sent.body)
  return message
}

async function withClient<T>(bench: Bench, run: (client: SmtpClient) => Promise<T>, host = '127.0.0.1'): Promise<T> {
  const client = await smtp(bench.mta.port, { host })
  try {
    return await run(client)
  } finally {
    await client.quit()
  }
}

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(
    kind,
    'opendkim',
    'pymilter',
    'sasl',
    'openssl',
  )(`a session with ${kind}`, () => {
    let bench: Bench
    beforeAll(async () => {
      bench = await start(kind)
    })

    test('carries several messages, each with its own stamps, and forgets those that RSET cancels', async () => {
      const { first } = bench
      const before = first.seen.length
      await withClient(bench, async client => {
        for (const subject of ['several 1', 'several 2']) {
          const { end } = await client.mail({ from: FROM, to: TO, data: letter(subject) })
          expect(end?.code).toBe(250)
        }
        await client.pipeline(`MAIL FROM:<${FROM}>`, `RCPT TO:<${TO}>`, 'RSET')
        await client.pipeline(`MAIL FROM:<reset@example.com>`, 'RSET')
        const { end } = await client.mail({ from: FROM, to: TO, data: letter('several 3') })
        expect(end?.code).toBe(250)
      })
      const ids = new Set<string>()
      for (const subject of ['several 1', 'several 2', 'several 3']) {
        await delivered(bench, subject)
        ids.add(first.of(subject).id)
      }
      expect(ids.size).toBe(3)
      await expect
        .poll(() => first.seen.slice(before).map(({ outcome }) => outcome))
        .toEqual(['accept', 'accept', 'aborted', 'aborted', 'accept'])
    })

    test('delivers to the recipients that no filter refused, whichever filter it was', async () => {
      const { first, second, mta } = bench
      const to = ['unknown@example.net', TO, 'reject@example.net', 'carol@example.com']
      const { rcpt, end } = await withClient(bench, client => client.mail({ from: FROM, to, data: letter('refused') }))
      expect(rcpt.map(({ code }) => code)).toEqual([550, 250, 550, 250])
      expect(rcpt[0]?.text).toMatch(/^550 5\.1\.1 .*Not here\r\n$/)
      expect(end?.code).toBe(250)
      await delivered(bench, 'refused')
      const { recipients } = bySubject(await mta.deliveries(), 'refused')
      expect(recipients.sort()).toEqual([TO, 'carol@example.com'])
      // The plugin after OpenDKIM stands before the milter that refuses.
      expect(first.of('refused').recipients).toEqual([`<${TO}>`, '<reject@example.net>', '<carol@example.com>'])
      expect(second.of('refused').recipients).toEqual([`<${TO}>`, '<reject@example.net>', '<carol@example.com>'])
    })

    test('tells filters of TLS and of the user that logged in', async () => {
      await withClient(bench, async client => {
        await client.command('EHLO client.example')
        expect((await client.startTls()).code).toBe(220)
        await client.command('EHLO client.example')
        const login = Buffer.from('\0user\0secret').toString('base64')
        expect((await client.command(`AUTH PLAIN ${login}`)).code).toBe(235)
        await client.mail({ from: FROM, to: TO, data: letter('secure') })
      })
      await delivered(bench, 'secure')
      for (const plugin of [bench.first, bench.second]) {
        const { auth, tls } = plugin.of('secure')
        expect(auth?.user).toMatch(/^user(@example\.com)?$/)
        expect(auth?.mechanism).toBe('PLAIN')
        expect(tls?.version).toMatch(/^TLSv1\.[23]$/)
        expect(tls?.cipher).toMatch(/AES|CHACHA/)
      }
      await withClient(bench, client => client.mail({ from: FROM, to: TO, data: letter('plain') }))
      await delivered(bench, 'plain')
      expect(bench.second.of('plain')).toMatchObject({ auth: null, tls: null })
    })

    test('names an IPv6 client in one spelling', async () => {
      await withClient(bench, client => client.mail({ from: FROM, to: TO, data: letter('six') }), '::1')
      await delivered(bench, 'six')
      expect(bench.first.of('six').client.address).toBe('::1')
      expect(bench.first.of('six').client.port).toBeGreaterThan(0)
    })

    test('may be pipelined', async () => {
      await withClient(bench, async client => {
        await client.command('EHLO client.example')
        for (const subject of ['pipelined 1', 'pipelined 2']) {
          const replies = await client.pipeline(
            `MAIL FROM:<${FROM}>`,
            `RCPT TO:<${TO}>`,
            'RCPT TO:<unknown@example.net>',
            'RCPT TO:<carol@example.com>',
            'DATA',
          )
          expect(replies.map(({ code }) => code)).toEqual([250, 250, 550, 250, 354])
          expect((await client.content(letter(subject))).code).toBe(250)
        }
      })
      await delivered(bench, 'pipelined 1')
      await delivered(bench, 'pipelined 2')
      expect(bench.second.of('pipelined 2').recipients).toEqual([`<${TO}>`, '<carol@example.com>'])
    })

    // biome-ignore format: a table
    test.for([
      ['no body', ''],
      ['one empty line', '\r\n'],
      ['dots', '.\r\n..\r\n.x\r\n...\r\ny.\r\n'],
      ['8 bits', 'caf\xe9 \xc3\xa9 \x80\xff\r\n\x01\x7f\r\n'],
      ['long lines', `${'x'.repeat(900)}\r\n${'y'.repeat(900)}\r\n`],
      ['blank lines at the end', 'text\r\n\r\n\r\n \r\n\r\n'],
    ] as const)('keeps a body of %s to the byte', async ([name, body]) => {
      const eight = name === '8 bits'
      const subject = `body of ${name}`
      const data = letter(subject, body, eight ? ['X-Eight: caf\xe9 \xc3\xa9\xff', 'X-Fold: a\r\n\tb\r\n  c'] : [])
      const from = eight ? `${FROM} BODY=8BITMIME` : FROM
      await withClient(bench, client => client.mail({ from, to: TO, data }))
      const message = await delivered(bench, subject)
      expect(message.body).toBe(body)
      expect(bench.second.of(subject).body).toBe(sha256(body))
      if (!eight) return
      expect(message.headers).toContain('X-Eight: caf\xe9 \xc3\xa9\xff')
      expect(message.headers).toContain('X-Fold: a\r\n\tb\r\n  c')
      expect(bench.second.of(subject).headers).toContain('X-Eight: caf\xe9 \xc3\xa9\xff')
      expect(bench.second.of(subject).headers).toContain('X-Fold: a\n\tb\n  c')
    })

    test('has its envelope in the filters as the client spelt it', async () => {
      const to = ['"quoted..string"@example.net', 'MiXed.Case+tag@EXAMPLE.net']
      await withClient(bench, client => client.mail({ from: '', to, data: letter('spelling') }))
      await delivered(bench, 'spelling')
      expect(bench.second.of('spelling')).toMatchObject({ sender: '<>', recipients: to.map(each => `<${each}>`) })
    })

    test('runs beside others without anything getting mixed up', async () => {
      const { mta, first, second } = bench
      const subjects = (session: number): string[] => Array.from({ length: 20 }, (_, n) => `crowd ${session}.${n}`)
      const bodyOf = (subject: string): string =>
        `${subject} of many\r\n`.repeat(1 + (Number(subject.replace(/\D/g, '')) % 7) * 40)
      const sessions = [0, 1, 2, 3]
      await Promise.all(
        sessions.map(session =>
          withClient(bench, async client => {
            for (const subject of subjects(session)) {
              const [from, to] = [`s${session}@example.com`, `r${subject.replace(/\D/g, '')}@example.net`]
              const { end } = await client.mail({ from, to, data: letter(subject, bodyOf(subject)) })
              expect(end?.code).toBe(250)
            }
          }),
        ),
      )
      const all = sessions.flatMap(subjects)
      const crowd = await expect
        .poll(
          async () => (await mta.deliveries()).filter(each => arrived(each).all('Subject')[0]?.startsWith('crowd')),
          {
            timeout: 40_000,
          },
        )
        .toHaveLength(all.length)
        .then(() => mta.deliveries())
      const stamps = new Set<string>()
      for (const subject of all) {
        const delivery = bySubject(crowd, subject)
        const message = arrived(delivery)
        const { id, sender, recipients } = first.of(subject)
        const stamp = `${id} ${sha256(bodyOf(subject))}`
        expect(message.body).toBe(bodyOf(subject))
        expect([message.all('X-First'), message.all('X-Second')]).toEqual([[stamp], [stamp]])
        expect(message.all('X-Rig-Milter')).toHaveLength(1)
        expect(message.all('DKIM-Signature')).toHaveLength(1)
        expect(second.of(subject)).toMatchObject({ id, sender, recipients })
        expect([`<${delivery.sender}>`, `<${delivery.recipients.join()}>`]).toEqual([sender, recipients.join()])
        stamps.add(id)
      }
      expect(stamps.size).toBe(all.length)
    })

    if (kind === 'postfix') {
      test('may send its content by BDAT', async () => {
        const text = letter('chunks', '.\r\nin two chunks\r\n')
        await withClient(bench, async client => {
          const { lines } = await client.command('EHLO client.example')
          expect(lines).toContain('CHUNKING')
          await client.command(`MAIL FROM:<${FROM}>`)
          await client.command(`RCPT TO:<${TO}>`)
          client.write(`BDAT 40\r\n${text.slice(0, 40)}`)
          expect((await client.read()).code).toBe(250)
          client.write(`BDAT ${text.length - 40} LAST\r\n${text.slice(40)}`)
          expect((await client.read()).code).toBe(250)
        })
        expect((await delivered(bench, 'chunks')).body).toBe('.\r\nin two chunks\r\n')
      })

      test('may use UTF-8 addresses, which filters see to the byte', async () => {
        const [from, to] = ['j\xc3\xb6s\xc3\xa9@example.com', '\xe7\x8e\xa9@example.net']
        await withClient(bench, async client => {
          const { end } = await client.mail({
            from: `${from} SMTPUTF8`,
            to,
            data: letter('utf8', 'x\r\n', ['X-Utf8: \xe7\x8e\xa9']),
          })
          expect(end?.code).toBe(250)
        })
        const message = await delivered(bench, 'utf8')
        expect(message.headers).toContain('X-Utf8: \xe7\x8e\xa9')
        expect(bench.second.of('utf8')).toMatchObject({ sender: `<${from}>`, recipients: [`<${to}>`] })
        const { sender, recipients } = bySubject(await bench.mta.deliveries(), 'utf8')
        expect([sender, recipients]).toEqual([from, [to]])
      })

      test('is not needed: mail submitted on the machine goes through the chain as well', async () => {
        const message = letter('local').replaceAll('\r\n', '\n')
        await (bench.mta as Postfix).submit(message, { from: FROM, to: [TO] })
        await delivered(bench, 'local')
        expect(bench.first.of('local')).toMatchObject({ sender: `<${FROM}>`, recipients: [`<${TO}>`] })
        expect(bench.first.of('local').client).toMatchObject({ address: '127.0.0.1', port: 0 })
      })
    }
  })
}
