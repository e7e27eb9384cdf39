import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { parseResolvConf, ResolvConf } from '../../src/dns/servers.ts'
import { silent } from '../../src/host/observe/logger.ts'
import { shiftedClock } from './support/resolver.ts'

const at = (address: string): object => ({ address, port: 53 })

it('servers and search domains are read as resolv.conf(5) says', () => {
  expect(
    parseResolvConf(`# comment
nameserver 192.0.2.1 # behind
 nameserver 2001:db8::1
nameserver nonsense
nameserver fe80::1%eth0
nameserver 192.0.2.4
domain first.test
search One.test two.test bad..name ; comment
options ndots:5 rotate
`),
  ).toEqual({
    servers: [at('192.0.2.1'), at('2001:db8::1'), at('fe80::1%eth0')],
    search: ['one.test', 'two.test'],
  })
})

it('without a server it is the machine itself', () => {
  expect(parseResolvConf('')).toEqual({ servers: [at('127.0.0.1')], search: [] })
})

it('a file that changes is read again, one that goes away or is missing does no harm', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-resolv-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'resolv.conf')
  const clock = shiftedClock()
  const conf = new ResolvConf(file, clock, silent)
  const servers = async (): Promise<readonly string[]> => (await conf.current()).servers.map(({ address }) => address)
  /** The look begins with a question that is still answered by the old content. */
  const later = async (): Promise<readonly string[]> => {
    clock.shift(6)
    await servers()
    for (let i = 0; i < 20; i++) await new Promise(done => setTimeout(done, 10))
    return servers()
  }
  expect(await servers()).toEqual(['127.0.0.1'])
  writeFileSync(file, 'nameserver 192.0.2.1\n')
  expect(await servers()).toEqual(['127.0.0.1'])
  expect(await later()).toEqual(['192.0.2.1'])
  writeFileSync(file, 'nameserver 192.0.2.20\n')
  expect(await later()).toEqual(['192.0.2.20'])
  rmSync(file)
  expect(await later()).toEqual(['192.0.2.20'])
})
