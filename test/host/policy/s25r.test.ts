import { describe, expect, it } from 'vitest'
import { anyName, type S25rOptions, type S25rRule, s25rRules } from '../../../src/host/policy/s25r.ts'

const check = (hostname: string | null, options: S25rOptions = {}, address = '192.0.2.1'): S25rRule | null =>
  s25rRules(options)({ address, hostname, verified: hostname !== null })

describe('S25R', () => {
  it.each<[string, S25rRule]>([
    // The examples of the rules' own page and of milter-manager's tests, one or more a rule.
    ['220-139-165-188.dynamic.hinet.net', 1],
    ['evrtwa1-ar3-4-65-157-048.evrtwa1.dsl-verizon.net', 1],
    ['a12a190.neo.lrun.com', 1],
    ['YahooBB220030220074.bbtec.net', 2],
    ['398pkj.cm.chello.no', 3],
    ['host.101.169.23.62.rev.coltfrance.com', 3],
    ['wbar9.chi1-4-11-085-222.dsl-verizon.net', 4],
    ['d5.as13.dmsn.wi.voyager.net', 5],
    ['pppbf708.tokynt.ap.so-net.ne.jp', 6],
    ['PPPbf7081.example.ne.jp', 6],
    ['dhcp0339.vpm.resnet.group.upenn.edu', 6],
    ['adsl-1415.camtel.net', 6],
    ['xdsl-5790.lubin.dialog.net.pl', 6],
  ])('%s meets rule %s', (name, rule) => {
    expect(check(name)).toBe(rule)
  })

  it.each([
    'mail.example.org',
    'mx1.example.org',
    'mout.gmx.net',
    'out-1.migadu.com',
    'wfout3-smtp.messagingengine.com',
    'mail15.mcsignup.com',
  ])('%s looks like a server', name => {
    expect(check(name)).toBeNull()
  })

  it('takes a client without a verified name for rule 0, whatever the name says', () => {
    const rules = s25rRules({ whitelist: ['google.com'] })
    expect(rules({ address: '192.0.2.1', hostname: null, verified: false })).toBe(0)
    expect(rules({ address: '192.0.2.1', hostname: 'mail.google.com', verified: false })).toBe(0)
  })

  it.each([
    'mail-wm1-x32f.google.com',
    'mail-eopbgr80089.outbound.protection.outlook.com',
    'a8-56.smtp-out.amazonses.com',
    'sonic310-21.consmr.mail.gq1.yahoo.com',
    '66-220-144-154.mail-mail.facebook.com',
    'mta-70-26-12.sparkpostmail.com',
  ])('meets %s, but knows it for a large provider', name => {
    expect(check(name, { knownGood: false })).not.toBeNull()
    expect(check(name)).toBeNull()
    expect(check(`${name}.example.com`)).not.toBeNull()
  })

  it('puts the white list before the black list and both before the rules', () => {
    const lists: S25rOptions = {
      whitelist: ['example.org', /^good\d-/g, name => name.startsWith('friend')],
      blacklist: ['bad.example', /\.dip\.example\.de$/y, name => name === 'foe.example'],
    }
    expect(check('ppp-1-2-3.example.org', lists)).toBeNull()
    for (let i = 0; i < 3; i++) expect(check('good1-2.test.example', lists)).toBeNull()
    expect(check('friend1-2.test.example', lists)).toBeNull()
    expect(check('mx.bad.example', lists)).toBe('listed')
    expect(check('notbad.example', lists)).toBeNull()
    expect(check('foe.example', lists)).toBe('listed')
    expect(check('bad.example', { ...lists, whitelist: ['BAD.example.'] })).toBeNull()
  })

  it('leaves IPv6 clients alone unless told to look', () => {
    expect(check(null, {}, '2001:db8::1')).toBeNull()
    expect(check(null, { ipv6: true }, '2001:db8::1')).toBe(0)
    expect(check('ppp-1-2.example.org', { ipv6: true }, '2001:db8::1')).toBe(1)
    expect(check(null, {}, '::ffff:192.0.2.1')).toBe(0)
  })

  it('says nothing of a client that did not come over IP', () => {
    expect(check(null, { ipv6: true }, '/run/submit.sock')).toBeNull()
    expect(check(null, { ipv6: true }, '')).toBeNull()
  })

  it('reads names in any case and with the dot of the root', () => {
    expect(check('ADSL-1415.Camtel.Net.')).toBe(6)
    expect(check('X.GOOGLE.COM.')).toBeNull()
  })

  it('cuts a name before the rules see it, so that a long one costs nothing', () => {
    const rules = s25rRules({ knownGood: false })
    const long = { address: '192.0.2.1', hostname: '1a'.repeat(500_000), verified: true }
    const began = process.hrtime.bigint()
    for (let i = 0; i < 100; i++) rules(long)
    // Uncut, rule 1 takes minutes for one such name.
    expect(Number(process.hrtime.bigint() - began) / 1e6).toBeLessThan(5_000)
  })

  it('refuses a pattern that is none', () => {
    for (const pattern of [
      '',
      ' ',
      '.',
      '*.example.com',
      'a b.example',
      'user@example.com',
      'a..example',
      'a.example/24',
    ])
      expect(() => anyName([pattern])).toThrow(`${JSON.stringify(pattern)} is not a domain such as "example.com"`)
    for (const name of ['localhost', 'bücher.example', '[192.0.2.1]', '_spf.example.com', '[ipv6:2001:db8::1]'])
      expect(anyName([name.toUpperCase()])(name)).toBe(true)
    expect(() => s25rRules({ whitelist: [''] })).toThrow(RangeError)
    expect(() => s25rRules({ blacklist: [7 as never] })).toThrow('7 is not a domain')
  })
})
