/** LDAP look-ups in a real OpenLDAP: plain, StartTLS, LDAPS, bound and anonymous. */
import { createServer } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { type LdapOptions, ldap } from '../../src/lookups.ts'
import { onCleanup, requirePrograms } from '../interop/harness/index.ts'
import { freePort } from '../interop/harness/places.ts'
import { endures } from './backends/endurance.ts'
import { type Directory, startSlapd } from './backends/start.ts'
import { answerOf, codeOf, never, opened } from './support.ts'

const person = (uid: string, mail: readonly string[], more = ''): string => `dn: uid=${uid},ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ${uid}
cn: ${uid}
sn: ${uid}
${mail.map(address => `mail: ${address}\n`).join('')}${more}
`
const PEOPLE = [
  person('a', ['a@example.org'], 'employeeType: greylist=off\nroomNumber: 7\n'),
  person('b', ['b@example.org', 'bb@example.org']),
  person('twin1', ['twin@example.org']),
  person('twin2', ['twin@example.org']),
  person('odd', ['o(d)d*@example.org']),
].join('\n')

requirePrograms('slapd')('look-ups in a real directory', () => {
  let directory: Directory
  const make = (options: Partial<LdapOptions> = {}): ReturnType<typeof ldap> => {
    const { url, base, bind } = directory
    return ldap({ url, base, bind, filter: '(mail=%s)', attributes: 'uid', ...options })
  }

  beforeAll(async () => {
    directory = await startSlapd(PEOPLE)
  })

  it('the value is an attribute, an object of attributes, or that there is an entry', async () => {
    const one = await opened(make())
    expect(await answerOf(one, 'a@example.org')).toBe('a')
    expect(await answerOf(one, 'BB@example.org')).toBe('b')
    expect(await answerOf(one, 'nobody@example.org')).toBeNull()
    const several = await opened(
      make({ attributes: { filters: 'employeetype', room: 'roomNumber', addresses: 'mail' } }),
    )
    expect(await answerOf(several, 'a@example.org')).toEqual({
      filters: 'greylist=off',
      room: '7',
      addresses: 'a@example.org',
    })
    expect(await answerOf(several, 'b@example.org')).toEqual({
      filters: null,
      room: null,
      addresses: ['b@example.org', 'bb@example.org'],
    })
    const { attributes: _, ...rest } = { ...directory, attributes: undefined }
    const there = await opened(
      ldap({ url: rest.url, base: rest.base, bind: rest.bind, filter: '(&(objectClass=person)(mail=%u@%d))' }),
    )
    expect(await answerOf(there, 'a@example.org')).toBe(true)
    expect(await answerOf(there, 'nobody')).toBeNull()
  })

  it.each(['*', 'a*', 'a@example.org)(uid=*', '\\2a', '(', 'o\\28d', '*)(objectClass=*'])(
    'the key %j is itself and no filter',
    async key => {
      const lookup = await opened(make({ cache: false }))
      expect(await answerOf(lookup, key)).toBeNull()
      expect(await answerOf(lookup, 'o(d)d*@example.org')).toBe('odd')
    },
  )

  it('two entries for one key are an error of that key alone', async () => {
    const lookup = await opened(make({ breaker: { failures: 1 } }))
    await expect(Promise.resolve(lookup.find('twin@example.org', never))).rejects.toThrow('several entries')
    expect(await answerOf(lookup, 'a@example.org')).toBe('a')
    const all = await opened(make({ filter: '(&(objectClass=person)(!(uid=%s)))' }))
    await expect(Promise.resolve(all.find('x', never))).rejects.toThrow('several entries')
  })

  it('StartTLS and LDAPS, with the certificate checked', async () => {
    const { url, ldaps, ca } = directory
    for (const options of [{ url, startTls: true }, { url: ldaps }]) {
      const trusting = await opened(make({ ...options, tls: { ca } }))
      expect(await answerOf(trusting, 'a@example.org')).toBe('a')
      expect(await codeOf(trusting.probe(never))).toBe('fine')
      const strict = await opened(make(options))
      await expect(Promise.resolve(strict.find('a@example.org', never))).rejects.toThrow(/certificate/)
    }
  })

  it('after a restart it encrypts and binds again before it asks', async () => {
    const { url, ldaps, ca } = directory
    const lookups = await Promise.all(
      [{ url, startTls: true, tls: { ca } }, { url: ldaps, tls: { ca } }, { url }].map(options =>
        opened(make({ ...options, cache: false, connections: 1 })),
      ),
    )
    for (const lookup of lookups) expect(await answerOf(lookup, 'a@example.org')).toBe('a')
    await directory.server.restart()
    // Only who is bound may read: an anonymous search would find nothing.
    for (const lookup of lookups) expect(await answerOf(lookup, 'a@example.org')).toBe('a')
    const anonymous = await opened(ldap({ url, base: directory.base, filter: '(mail=%s)' }))
    expect(await answerOf(anonymous, 'a@example.org')).not.toBe(true)
  })

  it('a wrong password and a base that is not there are told', async () => {
    const { bind } = directory
    const wrong = await opened(make({ bind: { ...bind, password: 'topsecret' } }))
    const told = await Promise.resolve(wrong.find('a', never)).catch((error: Error) => error.message)
    expect(told).toMatch(/credentials|0x31/i)
    expect(`${told}${wrong.describe}`).not.toContain('topsecret')
    const nowhere = await opened(make({ base: 'ou=nowhere,dc=example,dc=org' }))
    expect(await answerOf(nowhere, 'a')).toBe('LOOKUP_FAILED')
    expect(await codeOf(nowhere.probe(never))).toBe('LOOKUP_FAILED')
  })

  it('of several servers the first that can be had is used', async () => {
    const dead = `ldap://127.0.0.1:${await freePort()}`
    const silent = createServer(socket => socket.on('error', () => socket.destroy()))
    const port = await new Promise<number>(done =>
      silent.listen(0, '127.0.0.1', () => done((silent.address() as { port: number }).port)),
    )
    onCleanup(() => void silent.close())
    const lookup = await opened(make({ url: [dead, `ldap://127.0.0.1:${port}`, directory.url], timeout: '6s' }))
    expect(await answerOf(lookup, 'a@example.org')).toMatch(/^a$|LOOKUP_TIMEOUT/)
    const two = await opened(make({ url: [dead, directory.url] }))
    expect(await answerOf(two, 'a@example.org')).toBe('a')
  })

  endures({
    server: () => directory.server,
    make: options => make(options as Partial<LdapOptions>),
    key: 'a@example.org',
    value: 'a',
  })
})

describe('mistakes are told when the configuration is loaded', () => {
  it.each([
    [{ url: 'http://x' }, /ldap:\/\/host/],
    [{ url: 'ldapi:///' }, /ldap:\/\/host/],
    [{ filter: '(mail=x)' }, /must have %s/],
    [{ filter: '(mail=%x)' }, /"%x" in the filter/],
    [{ scope: 'subtree' }, /scope must be/],
    [{ bind: { dn: 'x' } }, /bind.password/],
  ])('%o', (options, message) => {
    expect(() => ldap({ url: 'ldap://x', base: 'dc=x', filter: '(mail=%s)', ...options } as never)).toThrow(message)
  })
})
