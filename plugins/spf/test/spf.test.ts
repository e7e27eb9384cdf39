import { definePlugin, type FilterEntry } from 'milterhost/plugin'
import { fakeDns, type TestHost, type TestMail, testPlugin, zoneDns } from 'milterhost/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import spf, { type SpfOptions, type SpfResult } from '../src/index.ts'
import { spfKey } from '../src/result.ts'
import { ZONE } from './support/zone.ts'

/** A filter behind it that takes down what it was told. */
const reader = (seen: (SpfResult | undefined)[]): FilterEntry =>
  definePlugin({ name: 'reader', setup: () => ({ mail: event => void seen.push(event.result(spfKey)) }) })()

interface Started {
  readonly host: TestHost
  readonly seen: (SpfResult | undefined)[]
  readonly dns: ReturnType<typeof zoneDns>
  /** The code and text told at RCPT, or `accept`. */
  send(from: string, mail?: TestMail): Promise<string>
}

async function start(options: SpfOptions = {}, dns = zoneDns(ZONE)): Promise<Started> {
  const seen: (SpfResult | undefined)[] = []
  const host = await testPlugin([spf(options), reader(seen)], { dns })
  onTestFinished(() => host.close())
  const send = async (from: string, mail: TestMail = {}): Promise<string> => {
    const { verdict } = await host.deliver({ helo: 'bare.test', from, ...mail })
    if (verdict.kind !== 'reject' && verdict.kind !== 'tempfail') return 'accept'
    const { code, enhanced, lines } = verdict.reply!
    return `${code} ${enhanced} ${lines.join(' / ')}`
  }
  return { host, seen, dns, send }
}

describe('by default', () => {
  test('only a fail is refused, at RCPT', async () => {
    const { host, send } = await start()
    expect(await send('a@fail.test')).toBe(
      '550 5.7.23 SPF fail for MAIL FROM: fail.test does not permit 192.0.2.1 to send its mail',
    )
    for (const name of ['pass', 'softfail', 'neutral', 'broken', 'dead', 'bare', 'nowhere'])
      expect(await send(`a@${name}.test`), name).toBe('accept')
    const { replies } = await host.deliver({ helo: 'bare.test', from: 'a@fail.test', to: ['b@x.test', 'c@x.test'] })
    expect(replies.map(({ command, verdict }) => `${command} ${verdict.kind}`)).toEqual([
      'connect continue',
      'helo continue',
      'mail continue',
      'rcpt reject',
      'rcpt reject',
    ])
  })

  test('the result is there for the filters after it', async () => {
    const { seen, send } = await start()
    const expected = ['pass', 'fail', 'softfail', 'neutral', 'permerror', 'temperror', 'none', 'none']
    for (const name of ['pass', 'fail', 'softfail', 'neutral', 'broken', 'dead', 'bare', 'nowhere'])
      await send(`"a b"@${name.toUpperCase()}.test`)
    expect(seen.map(found => found?.result)).toEqual(expected)
    expect(seen[1]).toEqual({
      identity: 'mailfrom',
      domain: 'fail.test',
      result: 'fail',
      ip: '192.0.2.1',
      reason: expect.stringContaining('does not designate 192.0.2.1'),
      explanation: '192.0.2.1 is not ours, see http://fail.test/',
      helo: { identity: 'helo', domain: 'bare.test', result: 'none', reason: expect.any(String), explanation: null },
    })
  })

  test('the results are in Authentication-Results', async () => {
    const { host } = await start()
    const { message } = await host.deliver({ helo: 'relay.test', from: 'a@softfail.test' })
    const field = message?.header('Authentication-Results')?.replaceAll(/\s+/g, ' ')
    expect(field).toBe('mx.example.com; spf=pass smtp.helo=relay.test; spf=softfail smtp.mailfrom=softfail.test')
  })
})

describe('identities', () => {
  test('the null sender is checked as postmaster of the HELO name', async () => {
    const { seen, send } = await start()
    expect(await send('', { helo: 'relay.test' })).toBe('accept')
    expect(await send('', { helo: 'fail.test' })).toMatch(/^550 5\.7\.23 SPF fail for HELO: fail\.test /)
    expect(seen[0]).toMatchObject({ identity: 'helo', domain: 'relay.test', result: 'pass' })
    expect(seen[0]?.helo).toMatchObject({ identity: 'helo', result: 'pass' })
  })

  test('a HELO name that fails is refused, is only reported, or is not looked at', async () => {
    const mail = { helo: 'fail.test' }
    const enforce = await start()
    expect(await enforce.send('a@pass.test', mail)).toMatch(/^550 5\.7\.23 SPF fail for HELO: fail\.test /)
    const report = await start({ helo: 'report' })
    expect(await report.send('a@pass.test', mail)).toBe('accept')
    expect(report.seen[0]).toMatchObject({ result: 'pass', helo: { result: 'fail', domain: 'fail.test' } })
    const off = await start({ helo: 'off' })
    expect(await off.send('a@pass.test', mail)).toBe('accept')
    expect(off.seen[0]).toMatchObject({ result: 'pass', helo: null })
    expect(off.dns.calls.map(({ name }) => name)).not.toContain('fail.test.')
    expect(off.dns.calls.map(({ name }) => name)).toContain('pass.test.')
  })

  test('a HELO that is no domain is not looked up', async () => {
    for (const helo of ['[192.0.2.1]', 'localhost', '192.0.2.1', 'a..test', 'x']) {
      const { dns, seen, send } = await start()
      expect(await send('a@pass.test', { helo })).toBe('accept')
      expect(seen[0]?.helo, helo).toBeNull()
      expect(await send('', { helo })).toBe('accept')
      expect(seen[1], helo).toMatchObject({ identity: 'helo', domain: '', result: 'none' })
      expect(new Set(dns.calls.map(({ name }) => name))).toEqual(new Set(['pass.test.']))
    }
  })

  test('a sender of another message of the connection is checked anew', async () => {
    const { host, seen } = await start()
    const conversation = host.open()
    await conversation.helo('bare.test')
    await conversation.mail('a@fail.test')
    expect((await conversation.rcpt()).kind).toBe('reject')
    await conversation.mail('a@pass.test')
    expect((await conversation.rcpt()).kind).toBe('continue')
    expect(seen.map(found => found?.result)).toEqual(['fail', 'pass'])
  })

  test('macros with the characters of VERP senders are evaluated', async () => {
    const { seen, send } = await start()
    expect(await send('bounce+a=b@verp.test')).toBe('accept')
    expect(seen[0]?.result).toBe('pass')
  })
})

describe('clients that are not looked at', () => {
  test.each(['127.0.0.1', '10.1.2.3', '192.168.1.1', '::1', 'fe80::1', '::ffff:10.0.0.1'])(
    '%s, by default',
    async address => {
      const { dns, seen, send } = await start()
      expect(await send('a@fail.test', { client: { address } })).toBe('accept')
      expect(seen).toEqual([undefined])
      expect(dns.calls).toEqual([])
    },
  )

  test('those that have logged in', async () => {
    const client = { auth: { user: 'jane' } }
    const { seen, send } = await start()
    expect(await send('a@fail.test', { client })).toBe('accept')
    expect(seen).toEqual([undefined])
    const strict = await start({ skip: { authenticated: false } })
    expect(await strict.send('a@fail.test', { client })).toMatch(/^550/)
  })

  test('the networks of the configuration', async () => {
    const { send } = await start({ skip: { networks: ['192.0.2.0/28'] } })
    expect(await send('a@fail.test')).toBe('accept')
    expect(await send('a@fail.test', { client: { address: '192.0.2.99' } })).toMatch(/^550/)
    expect(await send('a@fail.test', { client: { address: '10.0.0.1' } })).toMatch(/^550/)
  })
})

describe('white lists', () => {
  const allowed = async (allow: SpfOptions['allow'], mail: TestMail = {}): Promise<boolean> => {
    const { seen, send } = await start({ allow: allow! })
    const answer = await send('a@fail.test', mail)
    expect(seen[0]?.result).toBe('fail')
    return answer === 'accept'
  }

  test('networks', async () => {
    expect(await allowed({ networks: ['192.0.2.0/24'] })).toBe(true)
    expect(await allowed({ networks: ['198.51.100.0/24'] })).toBe(false)
  })

  test('HELO names, if they lead to the client', async () => {
    const allow = { helo: ['relay.test', 'other.test', 'dead.test'] }
    expect(await allowed(allow, { helo: 'Relay.test' })).toBe(true)
    expect(await allowed(allow, { helo: 'other.test' })).toBe(false)
    expect(await allowed(allow, { helo: 'dead.test' })).toBe(false)
    expect(await allowed({ helo: ['pass.test'] }, { helo: 'relay.test' })).toBe(false)
  })

  test('host names that the MTA verified, and what is below them', async () => {
    const allow = { hostnames: ['example.net'] }
    expect(await allowed(allow)).toBe(true)
    expect(await allowed(allow, { client: { hostname: 'badexample.net' } })).toBe(false)
    expect(await allowed(allow, { client: { hostname: null } })).toBe(false)
    const forged = { macros: { client_resolve: 'FORGED' } }
    expect(await allowed(allow, { client: forged })).toBe(false)
  })

  test("relays' own SPF records", async () => {
    expect(await allowed({ domains: ['strict.test', 'relay.test'] })).toBe(true)
    expect(await allowed({ domains: ['strict.test', 'softfail.test', 'nowhere.test'] })).toBe(false)
  })

  test('HELO names of IPv6 clients, in whatever spelling', async () => {
    const dns = zoneDns(`${ZONE}\n  six AAAA 2001:db8:0:0::1\n`)
    const { send } = await start({ allow: { helo: ['six.test'] } }, dns)
    const mail = { helo: 'six.test', client: { address: '2001:db8::1' } }
    expect(await send('a@fail.test', mail)).toBe('accept')
    expect(await send('a@fail.test', { ...mail, client: { address: '2001:db8::2' } })).toMatch(/^550/)
  })

  test('a list whose name servers do not answer saves nobody, and takes no more than the time there is', async () => {
    const dns = zoneDns(ZONE)
    const { send } = await start({ allow: { helo: ['hang.test'], domains: ['silent.test'] }, timeout: '200ms' }, dns)
    const began = performance.now()
    expect(await send('a@fail.test', { helo: 'hang.test' })).toMatch(/^550/)
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('nothing is looked up for them unless something is to be refused', async () => {
    const { dns, send } = await start({ allow: { domains: ['relay.test'] } })
    await send('a@pass.test')
    expect(dns.calls.map(({ name }) => name)).not.toContain('relay.test.')
  })
})

describe('what is refused', () => {
  const all = { none: true, neutral: true, softfail: true, permerror: true, temperror: true }

  test('by result; a temperror only for now', async () => {
    const { send } = await start({ reject: all })
    const code = async (name: string): Promise<string> =>
      (await send(`a@${name}.test`, { helo: 'pass.test' })).slice(0, 10).trim()
    expect(await code('pass')).toBe('accept')
    expect(await code('fail')).toBe('550 5.7.23')
    expect(await code('softfail')).toBe('550 5.7.23')
    expect(await code('neutral')).toBe('550 5.7.23')
    expect(await code('nowhere')).toBe('550 5.7.23')
    expect(await code('broken')).toBe('550 5.7.24')
    expect(await code('dead')).toBe('451 4.7.24')
    const nothing = await start({ reject: { fail: false } })
    expect(await nothing.send('a@fail.test')).toBe('accept')
  })

  test('by domain: its own rule, else that of the nearest domain above', async () => {
    const { send } = await start({
      domains: { 'Fail.test': { fail: false }, 'softfail.test': { softfail: true }, '*.test': { neutral: true } },
    })
    expect(await send('a@fail.test')).toBe('accept')
    expect(await send('a@softfail.test')).toMatch(/^550/)
    expect(await send('a@neutral.test')).toMatch(/^550/)
    expect(await send('a@strict.test')).toMatch(/^550/)
    expect(await send('a@broken.test')).toBe('accept')
  })

  test('in the words of the configuration', async () => {
    const { send } = await start({ text: 'No {result} here: {ip} is not {domain} ({identity}), 100 %' })
    expect(await send('a@fail.test')).toBe('550 5.7.23 No fail here: 192.0.2.1 is not fail.test (mailfrom), 100 %')
  })

  test('with the owner’s explanation, if it is asked for', async () => {
    const { send } = await start({ explanation: true })
    expect(await send('a@fail.test')).toContain(' / fail.test explains: 192.0.2.1 is not ours, see http://fail.test/')
    expect(await (await start()).send('a@fail.test')).not.toContain('explains')
  })

  test('is counted, by result', async () => {
    const { host, send } = await start()
    await send('a@fail.test')
    await send('a@pass.test')
    const counters = new Map(host.counters().map(({ name, samples }) => [name, samples]))
    expect(counters.get('milterhost_spf_refused_total')).toEqual([
      { labels: { filter: 'spf', result: 'fail' }, value: 1 },
    ])
    expect(counters.get('milterhost_spf_results_total')).toHaveLength(3)
  })
})

describe('left to DMARC', () => {
  const from = (...fields: string[]): TestMail => ({
    message: `${fields.map(field => `From: ${field}\r\n`).join('')}\r\nhi\r\n`,
  })
  const deferring = (): Promise<Started> => start({ deferToDmarc: true })

  test('a fail is refused after the header when the domain in From has no policy', async () => {
    const { host, send } = await deferring()
    expect(await send('a@fail.test', from('Jane <jane@fail.test>'))).toMatch(/^550 5\.7\.23 SPF fail/)
    const { replies } = await host.deliver({ helo: 'bare.test', from: 'a@fail.test', ...from('a@fail.test') })
    expect(replies.map(({ verdict }) => verdict.kind)).toEqual([...Array(5).fill('continue'), 'reject'])
  })

  test('it is not refused where there is a policy, of the domain or above it', async () => {
    const { send } = await deferring()
    expect(await send('a@fail.test', from('jane@strict.test'))).toBe('accept')
    expect(await send('a@mail.strict.test', from('"x, y" (c(o)m) <jane@Mail.Strict.test>'))).toBe('accept')
  })

  test('a From that has no one domain does not help', async () => {
    const { send } = await deferring()
    const cases = [
      [],
      ['a@strict.test, b@strict.test'],
      ['a@strict.test', 'b@strict.test'],
      ['g: a@strict.test;'],
      ['nobody'],
    ]
    for (const fields of cases) expect(await send('a@fail.test', from(...fields)), fields.join()).toMatch(/^550/)
  })

  test('when nobody can tell, the client is to come again', async () => {
    const { send } = await deferring()
    expect(await send('a@fail.test', from('a@slow.test'))).toMatch(/^451 4\.7\.1 The DMARC policy of slow\.test/)
  })

  test('HELO and temporary errors are refused at RCPT all the same', async () => {
    const { send } = await start({ deferToDmarc: true, reject: { temperror: true } })
    expect(await send('a@pass.test', { helo: 'fail.test', ...from('a@strict.test') })).toMatch(/^550 .* HELO/)
    expect(await send('a@dead.test', from('a@strict.test'))).toMatch(/^451/)
  })
})

describe('Received-SPF', () => {
  test('one field for each identity, MAIL FROM on top', async () => {
    const { host } = await start({ receivedSpf: true })
    const mail = { helo: 'relay.test', from: '"a(\\"b"@softfail.test' }
    const { message } = await host.deliver(mail)
    const fields = message!.headers
      .filter(({ name }) => name === 'Received-SPF')
      .map(({ value }) => value.replaceAll(/\s+/g, ' '))
    expect(fields[0]).toMatch(
      /^softfail \(mx\.example\.com: domain of .* does not designate .*\) client-ip=192\.0\.2\.1; /,
    )
    expect(fields[0]).toContain(
      'envelope-from="\\"a(\\\\\\"b\\"@softfail.test"; helo=relay.test; receiver=mx.example.com; identity=mailfrom;',
    )
    expect(fields[1]).toMatch(
      /^pass .* client-ip=192\.0\.2\.1; helo=relay\.test; receiver=mx\.example\.com; identity=helo;$/,
    )
  })

  test('none by default', async () => {
    const { host } = await start()
    const { message } = await host.deliver({ helo: 'relay.test', from: 'a@pass.test' })
    expect(message?.header('Received-SPF')).toBeUndefined()
  })
})

describe('engines', () => {
  test('spf-check warns at the start and refuses nothing unless told to', async () => {
    const { host, seen, send } = await start({ engine: 'spf-check' })
    expect(host.logs.filter(({ level }) => level === 'warn')).toHaveLength(1)
    expect(await send('a@strict.test')).toBe('accept')
    expect(seen[0]?.result).toBe('fail')
    const told = await start({ engine: 'spf-check', reject: { fail: true } })
    expect(await told.send('a@strict.test')).toMatch(/^550/)
  })

  test('compare believes mailauth and tells of a difference', async () => {
    const { host, seen, send } = await start({ engine: 'compare' })
    expect(await send('bounce+a=b@verp.test')).toBe('accept')
    expect(seen[0]?.result).toBe('pass')
    expect(await send('a@strict.test')).toMatch(/^550/)
    const told = host.logs.filter(({ message }) => message === 'the SPF engines differ')
    expect(told).toHaveLength(1)
    expect(told[0]?.fields).toMatchObject({
      sender: 'bounce+a=b@verp.test',
      mailauth: { result: 'pass' },
      'spf-check': { result: 'permerror' },
    })
  })
})

test.each<[SpfOptions, string]>([
  [{ allow: { networks: ['192.0.2.1/24'] } }, 'option allow.networks: "192.0.2.1/24" is not a network'],
  [{ allow: { domains: ['a b.test'] } }, 'option allow.domains[0]: must be a domain'],
  [{ domains: { '*': { fail: true } } }, 'option domains: has the key "*"'],
  [{ text: 'no\nbreak' }, 'option text: must be one line'],
  [{ text: '{who}' }, 'option text: may hold {result}'],
  [{ timeout: 'soon' }, 'option timeout: must be a length of time'],
  [{ rejects: {} } as SpfOptions, 'rejects'],
])('the mistake in %j is named', async (options, message) => {
  await expect(testPlugin(spf(options), { dns: fakeDns() })).rejects.toThrow(message)
})
