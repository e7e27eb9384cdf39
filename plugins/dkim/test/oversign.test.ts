/** What may be added to a signed message, and what not. */
import { expect, it } from 'vitest'
import { MESSAGE, results, sign, verify } from './support/play.ts'

const dkimOf = async (message: string): Promise<string> => results(await verify(message), 'dkim')[0]!.split(' ')[0]!

it.each([
  'Subject: another',
  'From: Eve <eve@evil.example>',
  'Cc: eve@evil.example',
  'To: eve@evil.example',
  'Reply-To: eve@evil.example',
  'Date: Wed, 25 Nov 2026 00:00:00 +0000',
  'Message-ID: <2@example.org>',
  'MIME-Version: 1.0',
  'Content-Type: text/html',
  'Content-Transfer-Encoding: base64',
])('a further "%s" breaks the signature, on top and below', async field => {
  const signed = await sign(MESSAGE)
  expect(await dkimOf(`${field}\r\n${signed}`)).toBe('dkim=fail')
  expect(await dkimOf(signed.replace('\r\n\r\n', `\r\n${field}\r\n\r\n`))).toBe('dkim=fail')
})

it('trace fields and fields of others do not', async () => {
  const signed = await sign(MESSAGE)
  const traced = `Return-Path: <>\r\nReceived: from here\r\nX-Spam: no\r\nList-Id: <l.example>\r\n${signed}`
  expect(await dkimOf(traced)).toBe('dkim=pass')
})

it('without oversigning a second subject goes through, which is why it is the default', async () => {
  const signed = await sign(MESSAGE, { sign: { oversign: [] } })
  expect(await dkimOf(`Subject: another\r\n${signed}`)).toBe('dkim=pass')
})

it('names a field once more than it occurs; what an MTA may add only where it is', async () => {
  const signed = await sign('From: ann@example.org\r\nSubject: a\r\nSubject: b\r\n\r\nx\r\n', {
    sign: { headers: ['From', 'Subject', 'X-None'], oversign: ['Subject', 'Cc', 'Date', 'Message-ID'] },
  })
  const names = /h=([^;]+);/.exec(signed)![1]!.replaceAll(/\s/g, '')
  expect(names).toBe('From:Subject:Subject:Subject:Cc')
  expect(await dkimOf(`Date: today\r\n${signed}`)).toBe('dkim=pass')
  expect(signed).not.toMatch(/\bl=/)
})
