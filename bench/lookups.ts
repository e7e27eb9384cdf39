/*
 * What a look-up costs with 100,000 users in the real backend: from the cache, and cold beside the backend's own round trip.
 *
 * Cold, each key is asked once through the look-up and once by the bare driver with the same question, in turns, so that a busy machine
 * slows both; what is printed is the difference of the medians. Two recipients a decision are looked up as the chain does: address,
 * address without extension, domain, parent domains, default.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Redis } from 'ioredis'
import { Client } from 'ldapts'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { silent } from '../src/host/observe/logger.ts'
import { MetricsRegistry } from '../src/host/plugin/metrics.ts'
import type { Lookup, LookupEntry } from '../src/host/policy/lookup.ts'
import { findFirst, recipientKeys } from '../src/host/policy/recipient-keys.ts'
import { systemClock } from '../src/host/time/clock.ts'
import { file, http, ldap, postfixTable, redis, sql } from '../src/lookups.ts'
import { cleanUp, onCleanup } from '../test/interop/harness/cleanup.ts'
import { tempDir } from '../test/interop/harness/places.ts'
import {
  startMariadb,
  startPostgres,
  startRedis,
  startSlapd,
  withMysql,
  withPostgres,
} from '../test/lookups/backends/start.ts'

const USERS = 100_000
const COLD = 600
const CACHED = 50_000
/** Microseconds. */
const GOAL_CACHED = 20
const GOAL_COLD = 500

const address = (index: number): string => `user${index}@example.org`
const never = new AbortController().signal

interface Subject {
  readonly entry: LookupEntry
  /** The same question by the bare driver; none where the table lies in memory. */
  readonly bare?: (key: string) => unknown
}

export interface LookupResult {
  readonly backend: string
  /** Microseconds: a decision for one recipient, its answers in the cache or the table in memory. */
  readonly cached: number
  /** Microseconds, medians; `null` for tables in memory. */
  readonly bare: number | null
  readonly cold: number | null
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!
const spent = async (run: () => unknown): Promise<number> => {
  const began = performance.now()
  await run()
  return (performance.now() - began) * 1000
}

async function measure(backend: string, { entry, bare }: Subject): Promise<LookupResult> {
  const lookup = await entry.open({ clock: systemClock, log: silent, metrics: new MetricsRegistry() })
  try {
    if ((await lookup.find(address(USERS - 1), never)).value === null)
      throw new Error(`${backend}: the last user is missing`)
    const cold: number[] = []
    const plain: number[] = []
    for (let n = 0; bare !== undefined && n < COLD; n++) {
      const key = address(n * 97)
      const first = n % 2 === 0
      if (first) plain.push(await spent(() => bare(key)))
      const asked = await spent(() => lookup.find(key, never))
      if (!first) plain.push(await spent(() => bare(key)))
      // The first ones warm up.
      if (n >= COLD / 6) cold.push(asked)
      else plain.length = 0
    }
    return {
      backend,
      cached: await fromCache(lookup),
      bare: plain.length > 0 ? median(plain) : null,
      cold: cold.length > 0 ? median(cold) : null,
    }
  } finally {
    await lookup.close()
  }
}

/** Microseconds of a whole decision: every key of a recipient, the last one answering. */
async function fromCache(lookup: Lookup): Promise<number> {
  const recipients = Array.from({ length: 100 }, (_, n) =>
    recipientKeys({ local: `user${n}+x`, domain: 'example.org' }),
  )
  for (const keys of recipients) await findFirst(lookup, keys, never)
  const began = performance.now()
  for (let n = 0; n < CACHED; n++) {
    const found = findFirst(lookup, recipients[n % 100]!, never)
    if (found instanceof Promise) throw new Error('that was not from the cache')
  }
  return ((performance.now() - began) * 1000) / CACHED
}

const BACKENDS: Readonly<Record<string, () => Promise<Subject>>> = {
  async postgres() {
    const { url } = await startPostgres()
    await withPostgres(url, async client => {
      await client.query('CREATE TABLE users (address text PRIMARY KEY, wants boolean)')
      await client.query(
        `INSERT INTO users SELECT 'user' || n || '@example.org', n % 2 = 0 FROM generate_series(0, ${USERS - 1}) n`,
      )
      await client.query('ANALYZE users')
    })
    const pool = new pg.Pool({ connectionString: url, max: 5 })
    onCleanup(() => pool.end())
    return {
      entry: sql({ url, query: 'SELECT wants FROM users WHERE address = :key' }),
      bare: key => pool.query('SELECT wants FROM users WHERE address = $1', [key]),
    }
  },
  async mariadb() {
    const { url } = await startMariadb()
    await withMysql(url, async connection => {
      await connection.query('CREATE TABLE users (address varchar(200) PRIMARY KEY, wants boolean)')
      await connection.query(
        `INSERT INTO users SELECT CONCAT('user', seq, '@example.org'), seq % 2 = 0 FROM seq_0_to_${USERS - 1}`,
      )
    })
    const connection = await mysql.createConnection(url)
    onCleanup(() => connection.destroy())
    return {
      entry: sql({ url, query: 'SELECT wants FROM users WHERE address = :key' }),
      bare: key => connection.execute('SELECT wants FROM users WHERE address = ?', [key]),
    }
  },
  async sqlite() {
    const path = join(tempDir('sqlite'), 'users.db')
    const database = new DatabaseSync(path)
    onCleanup(() => database.close())
    database.exec('CREATE TABLE users (address text PRIMARY KEY, wants boolean) WITHOUT ROWID; BEGIN')
    const insert = database.prepare('INSERT INTO users VALUES (?, ?)')
    for (let n = 0; n < USERS; n++) insert.run(address(n), n % 2)
    database.exec('COMMIT')
    const select = database.prepare('SELECT wants FROM users WHERE address = ?')
    return {
      entry: sql({ url: `sqlite:${path}`, query: 'SELECT wants FROM users WHERE address = :key' }),
      bare: key => select.all(key),
    }
  },
  async ldap() {
    const people = Array.from(
      { length: USERS },
      (_, n) =>
        `dn: uid=user${n},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: user${n}\ncn: user${n}\nsn: x\nmail: ${address(n)}\nemployeeType: yes\n`,
    )
    const { url, base, bind } = await startSlapd(people.join('\n'))
    const client = new Client({ url })
    await client.bind(bind.dn, bind.password)
    onCleanup(() => client.unbind())
    return {
      entry: ldap({ url, base, bind, filter: '(mail=%s)', attributes: 'employeeType' }),
      bare: key =>
        client.search(base, { scope: 'sub', filter: `(mail=${key})`, attributes: ['employeeType'], sizeLimit: 2 }),
    }
  },
  async redis() {
    const { url } = await startRedis()
    const client = new Redis(url)
    onCleanup(() => client.disconnect())
    const fill = client.pipeline()
    for (let n = 0; n < USERS; n++) fill.hset(`milterhost:policy:${address(n)}`, 'greylist', n % 2 === 0 ? 'on' : 'off')
    await fill.exec()
    return { entry: redis(url), bare: key => client.hgetall(`milterhost:policy:${key}`) }
  },
  async http() {
    const server = createServer((request, response) => {
      const known = /^\/user\d+%40example\.org$/.test(request.url ?? '')
      response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' }).end(known ? 'true' : 'null')
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    onCleanup(() => {
      server.closeAllConnections()
      server.close()
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const bare = async (key: string): Promise<unknown> => (await fetch(`${url}/${encodeURIComponent(key)}`)).json()
    return { entry: http(`${url}/{key}`), bare }
  },
  'postfix hash': () => postfix('hash'),
  'postfix lmdb': () => postfix('lmdb'),
  'postfix cdb': () => postfix('cdb'),
  async file() {
    const path = join(tempDir('file'), 'users.txt')
    writeFileSync(path, Array.from({ length: USERS }, (_, n) => `${address(n)} yes\n`).join(''))
    return { entry: file(path) }
  },
}

async function postfix(type: string): Promise<Subject> {
  const dir = tempDir('tables')
  writeFileSync(join(dir, 'main.cf'), 'compatibility_level = 3.6\n')
  process.env.MAIL_CONFIG = dir
  const path = join(dir, 'users')
  writeFileSync(path, Array.from({ length: USERS }, (_, n) => `${address(n)} yes\n`).join(''))
  execFileSync('/usr/sbin/postmap', [`${type}:${path}`])
  return { entry: postfixTable(`${type}:${path}`) }
}

/** True when every goal is met. `only`: backends whose name has this in it. */
export async function runLookups(only: string, json: boolean): Promise<boolean> {
  const results: LookupResult[] = []
  try {
    for (const [backend, prepare] of Object.entries(BACKENDS)) {
      if (!backend.includes(only)) continue
      const result = await measure(backend, await prepare())
      results.push(result)
      if (!json) console.log(line(result))
      await cleanUp()
    }
  } finally {
    await cleanUp()
  }
  const met = results.every(isMet)
  if (json) console.log(JSON.stringify({ users: USERS, results, met }))
  else
    console.log(
      `goals: cached below ${GOAL_CACHED} µs, cold below the bare driver + ${GOAL_COLD} µs: ${met ? 'met' : 'MISSED'}`,
    )
  return results.length > 0 && met
}

const isMet = ({ cached, bare, cold }: LookupResult): boolean =>
  cached < GOAL_CACHED && (bare === null || cold === null || cold - bare < GOAL_COLD)

function line(result: LookupResult): string {
  const { backend, cached, bare, cold } = result
  const rest =
    bare === null || cold === null
      ? ''
      : `, bare ${bare.toFixed(0)} µs, cold ${cold.toFixed(0)} µs (${(cold - bare).toFixed(0)} more)`
  return `${backend.padEnd(14)} cached ${cached.toFixed(2)} µs${rest}${isMet(result) ? '' : '   MISSED'}`
}
