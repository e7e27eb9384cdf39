/** The filters under examples/, each run against the real chain; the rate limit with a real Redis, the model with a server on loopback. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import attachmentBlocker from '../../examples/attachment-blocker/plugin.ts'
import bccArchive from '../../examples/bcc-archive/plugin.ts'
import headerRouting from '../../examples/header-routing/plugin.ts'
import languageModel from '../../examples/language-model/plugin.ts'
import rateLimit from '../../examples/rate-limit/plugin.ts'
import subjectTag from '../../examples/subject-tag/plugin.ts'
import { startRedis } from '../../plugins/greylist/test/redis/servers.ts'
import { systemClock } from '../../src/host/time/clock.ts'
import { testPlugin } from '../../src/testing.ts'
import { requirePrograms } from '../interop/harness/index.ts'

test('subject-tag marks a subject once', async () => {
  await using host = await testPlugin(subjectTag())
  const subject = async (message: string): Promise<string | undefined> =>
    (await host.deliver({ message })).message?.header('Subject')
  expect(await subject('Subject: hello\r\n\r\n')).toBe('[external] hello')
  expect(await subject('Subject: Re: [external] hello\r\n\r\n')).toBe('Re: [external] hello')
  expect(await subject('To: a@example.com\r\n\r\n')).toBe('[external]')
})

const withAttachment = (disposition: string, type = 'application/octet-stream'): string =>
  `Subject: see\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: ${type}\r\nContent-Disposition: ${disposition}\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n--b--\r\n`

test('attachment-blocker refuses names however they are written, and types', async () => {
  await using host = await testPlugin(attachmentBlocker({ types: ['application/x-msdownload'] }))
  const kind = async (message: string): Promise<string> => (await host.deliver({ message })).verdict.kind
  expect(await kind('Subject: plain\r\n\r\nno attachment\r\n')).toBe('continue')
  expect(await kind(withAttachment('attachment; filename="a.pdf"'))).toBe('continue')
  expect(await kind(withAttachment('attachment; filename="a.pdf.EXE"'))).toBe('reject')
  expect(await kind(withAttachment('attachment; filename="a.exe. "'))).toBe('reject')
  expect(await kind(withAttachment("attachment; filename*=utf-8''b%2eexe"))).toBe('reject')
  expect(await kind(withAttachment('attachment; filename="=?utf-8?B?Yi5leGU=?="'))).toBe('reject')
  expect(await kind(withAttachment('attachment; filename="x"', 'application/x-msdownload'))).toBe('reject')
  expect(host.counters()).toMatchObject([{ samples: [{ value: 5 }] }])
})

test('attachment-blocker does not take a large message apart', async () => {
  await using host = await testPlugin(attachmentBlocker({ limit: 100, tooLarge: 'tempfail' }))
  expect((await host.deliver({ message: withAttachment('attachment; filename="a.exe"') })).verdict.kind).toBe(
    'tempfail',
  )
})

test('bcc-archive adds a recipient, but not to what the archive sends or gets', async () => {
  await using host = await testPlugin(bccArchive({ address: 'archive@example.com' }))
  const recipients = async (mail: { from?: string; to?: string }): Promise<readonly string[] | undefined> =>
    (await host.deliver(mail)).message?.recipients
  expect(await recipients({ to: 'b@example.com' })).toEqual(['b@example.com', 'archive@example.com'])
  expect(await recipients({ to: 'Archive@example.com' })).toEqual(['Archive@example.com'])
  expect(await recipients({ from: 'archive@example.com', to: 'b@example.com' })).toEqual(['b@example.com'])
})

test('header-routing sends elsewhere by the first rule that fits', async () => {
  const rules = [
    { header: 'List-Id', matches: /announce/, to: 'lists@example.com' },
    { header: 'X-Ticket', matches: /^\d+$/, to: 'tickets@example.com' },
  ]
  await using host = await testPlugin(headerRouting({ rules }))
  const routed = await host.deliver({ to: ['a@example.com', 'b@example.com'], message: 'X-Ticket: 12\r\n\r\n' })
  expect(routed.message?.recipients).toEqual(['tickets@example.com'])
  expect(routed.message?.header('X-Original-Recipients')).toBe('a@example.com, b@example.com')
  expect((await host.deliver({ to: 'a@example.com' })).message?.recipients).toEqual(['a@example.com'])
})

requirePrograms('redis')('rate-limit', () => {
  test('counts each client for itself, over hosts, and fails as its entry says', async () => {
    const redis = await startRedis()
    const entry = () => rateLimit({ redis: redis.url, most: 2, span: '2s' }, { onFailure: 'tempfail' })
    await using one = await testPlugin(entry(), { clock: systemClock })
    await using other = await testPlugin(entry(), { clock: systemClock })
    const send = async (host: typeof one, address: string): Promise<string> => {
      const { verdict } = await host.deliver({ client: { address } })
      return verdict.kind
    }
    await expect.poll(() => send(one, '192.0.2.99')).toBe('continue')
    await expect.poll(() => send(other, '192.0.2.98')).toBe('continue')
    expect([await send(one, '192.0.2.1'), await send(other, '192.0.2.1')]).toEqual(['continue', 'continue'])
    expect([await send(one, '192.0.2.1'), await send(other, '192.0.2.2')]).toEqual(['tempfail', 'continue'])
    await expect.poll(() => send(one, '192.0.2.1'), { timeout: 10_000, interval: 500 }).toBe('continue')
    await redis.server.kill()
    const delivery = await one.deliver({ client: { address: '192.0.2.3' } })
    expect(delivery.verdict.kind).toBe('tempfail')
    expect(delivery.trace.some(({ failure }) => failure?.code === 'FILTER_THREW')).toBe(true)
  })
})

test('language-model marks, refuses, and fails when the service is late or makes no sense', async () => {
  let answer: string | null = '{"score":0.2}'
  let asked = ''
  const server = createServer((request, response) => {
    request.setEncoding('utf8')
    request.on('data', chunk => {
      asked += chunk
    })
    request.on('end', () => {
      if (answer !== null) response.end(answer)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`
  const chain = (mode: 'enforce' | 'observe') => languageModel({ url, timeout: '1s' }, { mode, onFailure: 'tempfail' })
  await using host = await testPlugin(chain('enforce'), { clock: systemClock })
  await using watched = await testPlugin(chain('observe'), { clock: systemClock })

  const message = 'Subject: offer\r\nX-Model-Score: 0.00\r\n\r\nBuy now\r\n'
  const marked = await host.deliver({ from: 'a@example.net', message })
  expect(marked.message?.headers.filter(({ name }) => name === 'X-Model-Score')).toEqual([
    { name: 'X-Model-Score', value: '0.20' },
  ])
  expect(JSON.parse(asked)).toEqual({ from: 'a@example.net', subject: 'offer', text: 'Buy now\r\n' })

  answer = '{"score":0.99}'
  expect((await host.deliver({ message })).verdict.kind).toBe('reject')
  const observed = await watched.deliver({ message })
  expect(observed.verdict.kind).toBe('continue')
  expect(observed.trace.at(-1)).toMatchObject({ verdict: { kind: 'reject' }, observed: true })

  answer = '{"score":7}'
  expect((await host.deliver({ message })).verdict.kind).toBe('tempfail')
  answer = null
  expect((await host.deliver({ message })).verdict.kind).toBe('tempfail')
})
