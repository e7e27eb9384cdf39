// Who gets which filter is asked of every kind of real backend, for real messages through Postfix; and while mail goes on, each of the
// servers is killed, started, hung and resumed. What must hold then: every session is answered, no message passes without its
// filters, none is lost, and all is well again as soon as the server is.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Facts } from 'milterhost/conditions'
import { file, http, type LookupEntry, ldap, lookup, postfixTable, redis, sql } from 'milterhost/lookups'
import { definePlugin } from 'milterhost/plugin'
import { beforeAll, expect, test } from 'vitest'
import type { EntryOptions } from '../../../src/host/config/entry.ts'
import { createPolicy } from '../../../src/lookups/sql/policy-table.ts'
import type { RealServer } from '../../lookups/backends/server.ts'
import {
  startMariadb,
  startPostgres,
  startRedis,
  startSlapd,
  withMysql,
  withPostgres,
} from '../../lookups/backends/start.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import {
  onCleanup,
  type Postfix,
  requirePrograms,
  sleep,
  smtp,
  startPostfix,
  tempDir,
  until,
} from '../harness/index.ts'
import { letter } from './letter.ts'

const WANTS = 'wants@example.com'
const NOT = 'not@example.com'
/** Gives up quickly, and looks again quickly. */
const QUICK = {
  timeout: '400ms',
  cache: { ttl: '1ms', negative: '1ms' },
  breaker: { failures: 3, pause: '200ms' },
} as const

const stamp = (name: string, choice: EntryOptions): ReturnType<ReturnType<typeof definePlugin>> =>
  definePlugin({
    name,
    setup: () => ({
      end(event) {
        event.edit.prependHeader(`X-${name}`, 'yes')
      },
    }),
  })({}, choice)

const USERS = [
  'CREATE TABLE users (address varchar(200) PRIMARY KEY, wants boolean)',
  `INSERT INTO users VALUES ('${WANTS}', true), ('${NOT}', false)`,
]

requirePrograms(
  'postfix',
  'postfix-tables',
  'postgres',
  'mariadb',
  'slapd',
  'redis',
)('users of every backend, behind Postfix', () => {
  const servers = new Map<string, RealServer>()
  const networked: Record<string, (options: object) => LookupEntry> = {}
  let postgres: string

  beforeAll(async () => {
    const people = [
      ['wants', WANTS, 'yes'],
      ['not', NOT, 'no'],
    ].map(
      ([uid, mail, type]) =>
        `dn: uid=${uid},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: ${uid}\nsn: x\nmail: ${mail}\nemployeeType: ${type}\n`,
    )
    const [pg, maria, slapd, cache] = await Promise.all([
      startPostgres(),
      startMariadb(),
      startSlapd(people.join('\n')),
      startRedis(),
    ])
    postgres = pg.url
    for (const [name, { server }] of Object.entries({ pg, maria, slapd, cache })) servers.set(name, server)
    await withPostgres(pg.url, async client => {
      for (const statement of [...USERS, createPolicy('postgres', 'milterhost_policy')]) await client.query(statement)
      await client.query("INSERT INTO milterhost_policy VALUES ('example.com', 'off-for-all', false, NULL)")
    })
    await withMysql(maria.url, async connection => {
      for (const statement of USERS) await connection.query(statement)
    })
    const client = new Redis(cache.url)
    await client.set(`wants:${WANTS}`, 'yes')
    await client.set(`wants:${NOT}`, 'no')
    await client.quit()
    const query = 'SELECT wants FROM users WHERE address = :key'
    const { base, bind, ca } = slapd
    const directory = { base, bind, filter: '(mail=%s)', attributes: 'employeeType', tls: { ca } }
    Object.assign(networked, {
      postgres: (options: object) => sql({ ...options, url: pg.url, query }),
      mariadb: (options: object) => sql({ ...options, url: maria.url, query }),
      starttls: (options: object) => ldap({ ...options, ...directory, url: slapd.url, startTls: true }),
      ldaps: (options: object) => ldap({ ...options, ...directory, url: slapd.ldaps }),
      redis: (options: object) => redis({ ...options, url: cache.url, type: 'string', prefix: 'wants:' }),
    })
  })

  const serve = async (
    entries: Record<string, LookupEntry>,
    policy?: LookupEntry,
  ): Promise<{ mta: Postfix; host: RunningHost }> => {
    const filters = Object.entries(entries).map(([name, users]) => stamp(name, { users }))
    const host = await startHost({ filters, ...(policy && { policy }) })
    return { host, mta: await startPostfix({ milters: [host.address] }) }
  }
  const stampsOf = (raw: Buffer): string[] =>
    [...raw.toString('latin1').matchAll(/^X-([\w-]+): yes/gm)].map(([, name]) => name!).sort()

  test('each one decides, and a policy beside them', async () => {
    const dir = tempDir('lookups')
    writeFileSync(join(dir, 'main.cf'), 'compatibility_level = 3.6\n')
    process.env.MAIL_CONFIG = dir
    const text = `${WANTS} yes\n${NOT} no\n`
    for (const name of ['hash', 'lmdb', 'cdb', 'texthash', 'users.txt']) writeFileSync(join(dir, name), text)
    writeFileSync(join(dir, 'btree'), text)
    for (const type of ['hash', 'lmdb', 'cdb']) execFileSync('/usr/sbin/postmap', [`${type}:${join(dir, type)}`])
    execFileSync('/usr/sbin/postmap', [`btree:${join(dir, 'btree')}`])
    writeFileSync(join(dir, 'rules'), '/^wants@/ yes\n/./ no\n')
    const web = createServer((request, response) =>
      response.end(JSON.stringify(request.url === `/${encodeURIComponent(WANTS)}`)),
    )
    const map = createTcpServer(socket =>
      socket
        .on('error', () => socket.destroy())
        .on('data', data => {
          const reply = String(data).includes(WANTS) ? 'OK yes' : 'NOTFOUND '
          socket.write(`${reply.length}:${reply},`)
        }),
    )
    // tcp_table(5): a line each way.
    const lines = createTcpServer(socket =>
      socket
        .on('error', () => socket.destroy())
        .on('data', data => socket.write(String(data).trim() === `get ${WANTS}` ? '200 yes\n' : '500 not found\n')),
    )
    for (const server of [web, map, lines]) await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    onCleanup(() => {
      web.closeAllConnections()
      web.close()
      map.close()
      lines.close()
    })
    const port = (server: { address(): unknown }): number => (server.address() as AddressInfo).port
    const entries: Record<string, LookupEntry> = {
      ...Object.fromEntries(Object.entries(networked).map(([name, make]) => [name, make({})])),
      ...Object.fromEntries(
        ['hash', 'btree', 'lmdb', 'cdb', 'texthash'].map(type => [type, postfixTable(`${type}:${join(dir, type)}`)]),
      ),
      regexp: postfixTable(`regexp:${join(dir, 'rules')}`),
      pcre: postfixTable(`pcre:${join(dir, 'rules')}`),
      inline: postfixTable(`inline:{ ${WANTS}=yes, ${NOT}=no }`),
      socketmap: postfixTable(`socketmap:inet:127.0.0.1:${port(map)}:users`),
      tcp: postfixTable(`tcp:127.0.0.1:${port(lines)}`),
      file: file(join(dir, 'users.txt')),
      http: http(`http://127.0.0.1:${port(web)}/{key}`),
      function: lookup('function', async key => key === WANTS),
    }
    const { mta } = await serve({ ...entries, 'off-for-all': lookup('everybody', () => true) }, sql(postgres))
    const client = await smtp(mta.port)
    for (const [index, to] of [WANTS, NOT].entries()) {
      const { last } = await client.mail({ from: 'a@example.net', to, data: letter(`to ${to}`) })
      expect(last).toMatchObject({ code: 250 })
      const { raw } = (await mta.waitForDeliveries(index + 1))[index]!
      expect(stampsOf(raw)).toEqual(to === WANTS ? Object.keys(entries).sort() : [])
    }
    await client.quit()
  })

  test('a table of networks decides by the client', async () => {
    const dir = tempDir('networks')
    writeFileSync(join(dir, 'here'), '# ours\n192.0.2.0/24 no\n127.0.0.0/8 yes\n')
    writeFileSync(join(dir, 'elsewhere'), '!127.0.0.0/8 yes\n')
    const within = (name: string): ((facts: Facts) => Promise<boolean>) => {
      const table = postfixTable(`cidr:${join(dir, name)}`)
      return async facts => (await facts.lookup(table, facts.client.address)).value === 'yes'
    }
    const host = await startHost({
      filters: ['here', 'elsewhere'].map(name => stamp(name, { when: within(name) })),
    })
    const mta = await startPostfix({ milters: [host.address] })
    const client = await smtp(mta.port)
    await client.mail({ from: 'a@example.net', to: WANTS, data: letter('networks') })
    await client.quit()
    const [delivery] = await mta.waitForDeliveries(1)
    expect(stampsOf(delivery!.raw)).toEqual(['here'])
  })

  test('each killed and hung under traffic: every session is answered, nothing passes unfiltered, all recovers', async () => {
    const entries = Object.fromEntries(Object.entries(networked).map(([name, make]) => [name, make(QUICK)]))
    const { mta, host } = await serve(entries)
    const codes: number[] = []
    let going = true
    const send = async (): Promise<number> => {
      const client = await smtp(mta.port)
      const { last } = await client.mail({ from: 'a@example.net', to: WANTS, data: letter('traffic') })
      await client.quit()
      codes.push(last.code)
      return last.code
    }
    const traffic = [1, 2].map(async () => {
      while (going) await send()
    })
    const well = (): Promise<unknown> => until('mail is accepted', async () => (await send()) === 250)
    const putOff = (): Promise<unknown> => until('mail is put off', async () => (await send()) === 451)
    try {
      await well()
      for (const server of servers.values()) {
        await server.kill()
        await putOff()
        await server.start()
        await well()
        await server.hang()
        await putOff()
        await sleep(0.5)
        server.resume()
        await well()
      }
    } finally {
      going = false
      await Promise.all(traffic)
    }
    expect([...new Set(codes)].sort()).toEqual([250, 451])
    const accepted = codes.filter(code => code === 250).length
    const all = await mta.waitForDeliveries(accepted)
    expect(all.length).toBe(accepted)
    for (const { raw } of all) expect(stampsOf(raw)).toEqual(Object.keys(entries).sort())
    await until('every session has ended', () => host.daemon.sessions === 0)
  })
})
