/**
 * The milter side against milters that others wrote: OpenDKIM and pymilter on the real libmilter, and a pure Perl
 * implementation of version 2. The MTA is this test, so what is checked is what a milter says to us.
 */
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Interest } from '../../../src/host/filter.ts'
import type { Edit } from '../../../src/host/message/edit.ts'
import { createSpool } from '../../../src/host/message/spool.ts'
import { ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL, type Verdict } from '../../../src/host/verdict.ts'
import { type MilterKind, requirePrograms, startMilter, tempDir } from '../../interop/harness/index.ts'
import { codeOf, type FilterSetup, filterAt, Play, playAt, readable } from './play.ts'

const never = new AbortController().signal

const start = async (kind: MilterKind, address?: string): Promise<Awaited<ReturnType<typeof startMilter>>> => {
  const milter = await startMilter(kind, address)
  onTestFinished(() => milter.stop())
  return milter
}

const DO = (...verbs: string[]): [string, string][] => verbs.map(verb => ['X-Milter-Do', ` ${verb}`])

requirePrograms('opendkim')('OpenDKIM', () => {
  test.each(['unix', 'inet'])('on %s negotiates its events and its edits', async where => {
    const { address } = await start('opendkim-sign', where)
    const report = await filterAt(address).probe(never)
    expect(report.events).toEqual(['connect', 'mail', 'rcpt', 'header', 'eoh', 'body'] satisfies Interest[])
    expect(report.mayEdit).toEqual(['addHeader', 'insertHeader', 'changeHeader', 'removeHeader'])
    expect(report.facts.get('protocol version')).toBe('6')
    expect(report.facts.get('protocol flags')).toBe('NOHELO|NOUNKNOWN|NODATA|SKIP|HDR_LEADSPC')
  })

  test.each([false, true])('signs one message after another on one connection (pipelining: %s)', async pipelining => {
    const { address } = await start('opendkim-sign')
    const play = await playAt(address, { pipelining }).greet()
    for (const body of ['one\r\n', 'line\r\n'.repeat(100_000)]) {
      play.tell('mail', { i: 'QUEUEID' })
      const { message } = await play.send({
        from: '<alice@example.com>',
        headers: [
          ['From', ' alice@example.com'],
          ['Subject', ' signed'],
          ['Date', ' Tue, 24 Nov 2026 04:00:00 +0000'],
          ['Message-ID', ' <1@example.com>'],
        ],
        body,
      })
      expect(message!.verdict).toEqual(ACCEPT)
      const signature = message!.edits.find(edit => edit.kind === 'insertHeader' && edit.name === 'DKIM-Signature')
      expect(signature).toMatchObject({ kind: 'insertHeader', value: expect.stringContaining('d=example.com') })
    }
    expect(play.refused).toEqual([])
  })
})

requirePrograms('pymilter')('pymilter on libmilter', () => {
  let address = ''
  beforeAll(async () => {
    address = (await startMilter('pymilter')).address
  })

  test.each<[string, Verdict]>([
    ['<bob@b.example>', CONTINUE],
    ['<reject@b.example>', REJECT],
    ['<tempfail@b.example>', TEMPFAIL],
    ['<discard@b.example>', DISCARD],
    ['<accept@b.example>', ACCEPT],
    ['<reply451@b.example>', { kind: 'tempfail', reply: { code: 451, enhanced: '4.7.1', lines: ['Rig says later'] } }],
    ['<reply421@b.example>', { kind: 'tempfail', reply: { code: 421, enhanced: '4.7.0', lines: ['Rig closes'] } }],
    [
      '<multi550@b.example>',
      { kind: 'reject', reply: { code: 550, enhanced: '5.7.1', lines: ['Line one', 'Line two 100%', 'Line three'] } },
    ],
  ])('says of the recipient %s what it says to an MTA, and the next message is whole', async (to, verdict) => {
    const play = await playAt(address).greet()
    const first = await play.send({ to: [to] })
    expect(first.rcpt).toEqual([verdict])
    play.session.abort()
    expect((await play.send()).message?.verdict).toEqual(CONTINUE)
  })

  test('gives all its edits, and nothing when it decides against the message', async () => {
    const play = await playAt(address).greet()
    const headers = DO(
      'addheader X-A one',
      'insheader 1 X-B two',
      'chgheader Subject 1 three',
      'delheader X-Old 1',
      'addrcpt carol@c.example',
      'addrcpt dave@d.example NOTIFY=NEVER',
      'delrcpt <bob@b.example>',
      'chgfrom eve@e.example',
      'chgbody new',
      'quarantine held',
    )
    const { message } = await play.send({ headers })
    expect(message!.verdict).toEqual(CONTINUE)
    expect(readable(message!.edits)).toEqual([
      { kind: 'addHeader', name: 'X-Rig-Milter', value: ' pymilter' },
      { kind: 'addHeader', name: 'X-A', value: ' one' },
      { kind: 'insertHeader', index: 1, name: 'X-B', value: ' two' },
      { kind: 'changeHeader', occurrence: 1, name: 'Subject', value: ' three' },
      { kind: 'removeHeader', occurrence: 1, name: 'X-Old' },
      { kind: 'addRecipient', address: '<carol@c.example>', args: '' },
      { kind: 'addRecipient', address: '<dave@d.example>', args: 'NOTIFY=NEVER' },
      { kind: 'removeRecipient', address: '<bob@b.example>' },
      { kind: 'changeSender', address: '<eve@e.example>', args: '' },
      { kind: 'replaceBody', body: 'new\r\n' },
      { kind: 'quarantine', reason: 'held' },
    ])
    const rejected = await play.send({ headers: DO('addheader X-A one', 'bigbody 200', 'reject') })
    expect(rejected.message).toEqual({ verdict: REJECT, edits: [] })
    expect([play.refused, play.openBodies]).toEqual([[], 0])
  })

  test('may take its time at the end, telling that it is at work', async () => {
    const { message } = await (await playAt(address).greet()).send({ headers: DO('progress 2', 'addheader X-A one') })
    expect(message!.edits).toHaveLength(2)
  })

  test('that answers nothing but MAIL, RCPT and the end is not waited for', async () => {
    const milter = await start('pymilter-noreply')
    const filter = filterAt(milter.address)
    const play = await new Play(filter).greet()
    expect(filter.needs()!.answers).toEqual(new Set(['mail', 'rcpt']))
    const { message } = await play.send({ headers: DO('addheader X-A one'), body: 'x\r\n'.repeat(100_000) })
    expect(message!.edits).toHaveLength(2)
    expect(await milter.events()).toMatch(/ body 65535\n/)
  })

  test.each([2, 3, 4, 6] as const)('speaks version %i when that is offered', async version => {
    const filter = filterAt(address, { version })
    const play = await new Play(filter).greet()
    expect((await filter.probe(never)).facts.get('protocol version')).toBe(String(version))
    await play.unknown()
    const { message } = await play.send({ headers: DO('chgheader X-A 1 one') })
    expect(message!.verdict).toEqual(CONTINUE)
    expect(message!.edits).toHaveLength(2)
  })

  test('is never left waiting by an order of commands that it does not answer', async () => {
    const milter = await start('pymilter')
    const play = await playAt(milter.address).greet()
    await play.unknown()
    await play.mail()
    await play.unknown()
    await play.rcpt()
    await play.unknown()
    await play.data()
    expect((await play.message()).verdict).toEqual(CONTINUE)
    await play.unknown()
    await play.helo('again.example')
    await play.mail()
    await play.helo('and.again.example')
    await play.mail()
    await play.data()
    play.session.abort()
    expect((await play.send()).message?.verdict).toEqual(CONTINUE)
    play.session.close()
    await milter.waitForEvent(/close/)
  })

  test.each(
    ['header', 'eoh', 'body'].flatMap(stage => [
      [stage, 'reject', REJECT],
      [stage, 'tempfail', TEMPFAIL],
      [stage, 'discard', DISCARD],
      [stage, 'accept', ACCEPT],
    ]) as [string, string, Verdict][],
  )(
    'pipelined and done at %s, says %s and hears no more of it, and the next message is whole',
    async (stage, word, verdict) => {
      const milter = await start('pymilter')
      const play = await playAt(milter.address, { pipelining: true }).greet()
      const headers: [string, string][] = [
        ['X-Milter-At', ` ${stage} ${word}`],
        ...DO('addheader X-A one'),
        ['X-B', ' two'],
      ]
      const body = 'x\r\n'.repeat(100_000)
      expect((await play.send({ headers, body })).message).toEqual({ verdict, edits: [] })
      await milter.waitForEvent(/close/)
      expect(await milter.events()).not.toMatch(/ eom/)
      const { message } = await play.send({ headers: DO('addheader X-A one'), body })
      expect(message!.edits).toHaveLength(2)
      expect(play.refused).toEqual([])
    },
  )

  test('pipelined takes hundreds of header fields and a body, and gives all its edits', async () => {
    const play = await playAt(address, { pipelining: true }).greet()
    const fields = Array.from({ length: 500 }, (_, i): [string, string] => [`X-${i}`, ` ${i}`])
    for (let i = 0; i < 2; i++) {
      const { message } = await play.send({
        headers: [...fields, ...DO('addheader X-A one', 'chgheader X-499 1 new', 'progress 1')],
        body: 'x\r\n'.repeat(100_000),
      })
      expect(message).toMatchObject({ verdict: CONTINUE, edits: { length: 3 } })
    }
  })

  test('takes a body from the spool and gives one of its own back', async () => {
    const spool = createSpool({ directory: `${tempDir('spool')}/bodies`, memory: 1024, shared: 0, limit: 1 << 30 })
    onTestFinished(() => spool.close())
    const writer = spool.message().writer()
    for (let i = 0; i < 100; i++) await writer.write(Buffer.alloc(65_000, 'abcdefgh\r\n'))
    const play = await playAt(address).greet()
    const { message } = await play.send({ body: await writer.finish(), headers: DO('bigbody 3000') })
    const replacement = message!.edits.find(
      (edit): edit is Edit & { kind: 'replaceBody' } => edit.kind === 'replaceBody',
    )
    expect(replacement!.body.size).toBe(72 * Math.floor((3000 * 1024) / 72))
  })

  test('killed in the middle of the end of a message fails that message', async () => {
    const milter = await start('pymilter')
    const play = await playAt(milter.address).greet()
    const failure = codeOf(play.send({ headers: DO('addheader X-A one', 'sleep 30') }))
    await milter.waitForEvent(/ eom/)
    process.kill(milter.pid, 'SIGKILL')
    expect(await failure).toBe('MILTER_CLOSED')
  })
})

requirePrograms('perl-milter')('a version 2 milter in Perl', () => {
  test.each<FilterSetup>([{}, { version: 2 }, { pipelining: true }])('works with %j', async setup => {
    const milter = await start('perl')
    const filter = filterAt(milter.address, setup)
    const play = await new Play(filter).greet()
    expect([...filter.needs()!.events]).toEqual(['connect', 'helo', 'mail', 'rcpt', 'header', 'eoh', 'body'])
    await play.unknown()
    for (let i = 0; i < 2; i++) {
      expect((await play.send()).message).toEqual({
        verdict: CONTINUE,
        edits: [{ kind: 'addHeader', name: 'X-PMilter', value: ' seen' }],
      })
    }
    expect((await play.send({ to: ['<reject@b.example>'] })).rcpt).toEqual([REJECT])
  })
})
