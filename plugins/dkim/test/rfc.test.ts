/** The examples of the RFCs, and one of them in pieces of every size. */
import { verify as check, createHash, createPublicKey } from 'node:crypto'
import { expect, it } from 'vitest'
import { fieldsOf } from '../src/fields.ts'
import { parsePrivateKey, publicRecord } from '../src/sign/keys.ts'
import { MessageSigner } from '../src/sign/signer.ts'
import { BoundedVerifier } from '../src/verify/verifier.ts'
import { results, verify } from './support/play.ts'

/** RFC 8463 appendix A. */
const SEED = 'nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A='
const RECORDS = {
  'brisbane._domainkey.football.example.com': 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
  'test._domainkey.football.example.com':
    'v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB',
}
const UNSIGNED = `From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`.replaceAll('\n', '\r\n')
const SIGNED =
  `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
`.replaceAll('\n', '\r\n') + UNSIGNED

const zone = Object.fromEntries(Object.entries(RECORDS).map(([name, text]) => [name, { txt: [text] }]))

it('RFC 8463 A.3: both signatures of the example pass', async () => {
  expect(results(await verify(SIGNED, { zone }), 'dkim')).toEqual([
    'dkim=pass header.d=football.example.com header.s=brisbane header.a=ed25519-sha256 header.b="/gCrinpc"',
    'dkim=pass header.d=football.example.com header.s=test header.a=rsa-sha256 header.b=F45dVWDf',
  ])
})

it('RFC 8463 A.2: the record of the example key is made here too', () => {
  expect(publicRecord(parsePrivateKey(SEED))).toBe(RECORDS['brisbane._domainkey.football.example.com'])
})

/** RFC 6376 appendix A.2, with the key of appendix C, to the blank: it is signed by simple/simple. */
const SIMPLE = `DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
        4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
`.replaceAll('\n', '\r\n')
const SIMPLE_ZONE = {
  'brisbane._domainkey.example.com': {
    txt: [
      'v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB',
    ],
  },
}

it('RFC 6376 A.2: the signed example passes, and with one blank less it does not', async () => {
  const signature = 'header.d=example.com header.s=brisbane header.a=rsa-sha256 header.b=AuUoFEfD'
  expect(results(await verify(SIMPLE, { zone: SIMPLE_ZONE }), 'dkim')).toEqual([`dkim=pass ${signature}`])
  for (const [from, to] of [
    ['com  [', 'com ['],
    ['lost the', 'lostthe'],
  ] as const)
    expect(results(await verify(SIMPLE.replace(from, to), { zone: SIMPLE_ZONE }), 'dkim')).toEqual([
      expect.stringMatching(/^dkim=(?:fail|neutral) .*header\.d=example\.com/),
    ])
})

const [head, ...rest] = UNSIGNED.split('\r\n\r\n')
const BODY = Buffer.from(rest.join('\r\n\r\n'))
const field = (line: string): { key: string; casedKey: string; line: Buffer } => ({
  key: line.slice(0, line.indexOf(':')).trimEnd().toLowerCase(),
  casedKey: line.slice(0, line.indexOf(':')).trimEnd(),
  line: Buffer.from(line, 'latin1'),
})
const FIELDS = head!.split(/\r\n(?![ \t])/).map(field)
const key = { ...parsePrivateKey(SEED), domain: 'football.example.com', selector: 'brisbane' }

it('split at every byte, the signature of a small message is the same and passes', async () => {
  const rules = { canonicalization: 'relaxed/relaxed', headers: ['From', 'Subject'], oversign: ['From'] } as const
  const values = new Set<string>()
  for (let at = 0; at <= BODY.length; at++) {
    const signer = new MessageSigner(FIELDS, rules)
    signer.update(BODY.subarray(0, at))
    signer.update(BODY.subarray(at))
    const [value] = signer.finish([key], 1_528_637_909_000)
    values.add(value!)
    const verifier = new BoundedVerifier([field(`DKIM-Signature:${value!.replaceAll('\n', '\r\n')}`), ...FIELDS], {
      resolver: async name => [[RECORDS[name as keyof typeof RECORDS]]],
      minKeyBits: 1024,
      maxSignatures: 10,
      now: 1_528_637_909_000,
      seals: false,
    })
    expect(verifier.begin()).toBe(true)
    verifier.update(BODY.subarray(0, at))
    verifier.update(BODY.subarray(at))
    await verifier.finalChunk()
    expect(verifier.results[0]?.status.result, `at ${at}`).toBe('pass')
  }
  expect(values.size).toBe(1)
})

/** RFC 6376 §3.4.5. */
const EXAMPLE = ['A: X ', 'B : Y\t\r\n\tZ  '].map(field)
const EXAMPLE_BODY = Buffer.from(' C \r\nD \t E\r\n\r\n\r\n')

it.each([
  ['relaxed/relaxed', ' C\r\nD E\r\n', 'a:X\r\nb:Y Z\r\n'],
  ['simple/simple', ' C \r\nD \t E\r\n', 'A: X \r\nB : Y\t\r\n\tZ  \r\n'],
  ['relaxed/simple', ' C \r\nD \t E\r\n', 'a:X\r\nb:Y Z\r\n'],
] as const)('RFC 6376 §3.4.5: %s', (canonicalization, body, headers) => {
  const signer = new MessageSigner(EXAMPLE, { canonicalization, headers: ['A', 'B'], oversign: [] })
  signer.update(EXAMPLE_BODY)
  const [value] = signer.finish([key], 0)
  expect(/bh=([^;]+);/.exec(value!)?.[1]).toBe(createHash('sha256').update(body).digest('base64'))
  const [, unsigned, signature] = /^([\s\S]*\bb=)([\s\S]*)$/.exec(`DKIM-Signature:${value!.replaceAll('\n', '\r\n')}`)!
  const own = canonicalization.startsWith('simple')
    ? unsigned!
    : unsigned!
        .replace('DKIM-Signature:', 'dkim-signature:')
        .replaceAll('\r\n', '')
        .replaceAll(/[ \t]+/g, ' ')
        .replace(': ', ':')
  const digest = createHash('sha256')
    .update(headers + own, 'latin1')
    .digest()
  expect(check(null, digest, createPublicKey(key.key), Buffer.from(signature!, 'base64'))).toBe(true)
})

it('fields are taken with their folds and blanks as they came', () => {
  const header = { name: 'Subject ', value: '', raw: Buffer.from('  a\n\tb ') }
  expect(fieldsOf([header]).map(({ key: name, line }) => [name, line.toString()])).toEqual([
    ['subject', 'Subject :  a\r\n\tb '],
  ])
})
