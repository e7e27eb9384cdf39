/** SQL look-ups in real PostgreSQL and MariaDB servers and SQLite files. */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { readSwitches } from '../../src/host/policy/switches.ts'
import { createPolicy } from '../../src/lookups/sql/policy-table.ts'
import type { SqlOptions } from '../../src/lookups.ts'
import { sql } from '../../src/lookups.ts'
import { requirePrograms, tempDir } from '../interop/harness/index.ts'
import { endures } from './backends/endurance.ts'
import { type Backend, startMariadb, startPostgres, withMysql, withPostgres } from './backends/start.ts'
import { answerOf, around, codeOf, never, opened } from './support.ts'

const HOSTILE = [
  "' OR '1'='1",
  "x'; DROP TABLE users; --",
  '%',
  '_@example.org',
  '\\',
  'é@example.org',
  '$1',
  ':key',
  '"a" b@example.org',
]
const USERS = [
  'CREATE TABLE users (address varchar(200) PRIMARY KEY, wants boolean, level int, number int)',
  "INSERT INTO users VALUES ('a@example.org', true, 3, 1), ('b@example.org', false, NULL, 2), ('größe@example.org', true, 5, 3)",
]

/** What holds of every product. */
function answers(
  url: () => string,
  make: (options: Omit<SqlOptions, 'url'>) => ReturnType<typeof sql>,
  quick: string,
): void {
  it('one column is the value, several are an object, all rows a list', async () => {
    const one = await opened(make({ query: 'SELECT level FROM users WHERE address = :key' }))
    expect(await answerOf(one, 'a@example.org')).toBe(3)
    expect(await answerOf(one, 'b@example.org')).toBeNull()
    expect(await answerOf(one, 'nobody@example.org')).toBeNull()
    expect(await answerOf(one, 'größe@example.org')).toBe(5)
    const row = await opened(make({ query: 'SELECT level, number FROM users WHERE address = :key' }))
    expect(await answerOf(row, 'a@example.org')).toEqual({ level: 3, number: 1 })
    const list = await opened(
      make({ query: 'SELECT number FROM users WHERE address = :key OR address = :local ORDER BY number', rows: 'all' }),
    )
    expect(await answerOf(list, 'a@example.org')).toEqual([1])
    expect(await answerOf(list, 'nobody')).toBeNull()
  })

  it('the sides of an address are parameters too', async () => {
    const query = "SELECT number FROM users WHERE address = CONCAT(:local, '@', :domain) -- ':key'"
    const lookup = await opened(
      make({
        query: !url().startsWith('mysql')
          ? query.replace("CONCAT(:local, '@', :domain)", "(:local || '@' || :domain)")
          : query,
      }),
    )
    expect(await answerOf(lookup, 'a@example.org')).toBe(1)
    expect(await answerOf(lookup, 'nobody')).toBeNull()
  })

  it.each(HOSTILE)('the key %j finds nothing and breaks nothing', async key => {
    const lookup = await opened(make({ query: 'SELECT number FROM users WHERE address = :key' }))
    expect(await answerOf(lookup, key)).toBeNull()
    expect(await answerOf(lookup, 'a@example.org')).toBe(1)
  })

  it('what the schema makes of a row is its type', async () => {
    const schema = z.object({ level: z.number(), number: z.number() }).transform(row => row.level + row.number)
    const lookup = await opened(
      sql({ url: url(), query: 'SELECT level, number FROM users WHERE address = :key', schema }),
    )
    const found = await lookup.find('a@example.org', never)
    expect((found.value ?? 0) + 1).toBe(5)
    expect(await answerOf(lookup, 'b@example.org')).toBe('LOOKUP_VALUE')
  })

  it('a query that the database refuses is an error with its words', async () => {
    const lookup = await opened(make({ query: 'SELECT a FROM nowhere WHERE x = :key' }))
    await expect(Promise.resolve(lookup.find('a', never))).rejects.toThrow(/nowhere/)
    expect(await codeOf(lookup.probe(never))).toBe('LOOKUP_FAILED')
  })

  it('the policy table is read, written and listed', async () => {
    const entry = make({})
    const lookup = await opened(entry)
    const store = await entry.edit!(around())
    await store.set('A@example.org', { spf: true, greylist: false })
    await store.set('a@example.org', { greylist: { wait: 60 }, spf: false })
    await store.set('*', { dkim: true })
    await store.set('gone', { dkim: true })
    await store.set('gone', null)
    const found = await lookup.find('a@example.org', never)
    expect({ ...readSwitches(found.value) }).toEqual({ greylist: { wait: 60 }, spf: false })
    expect(await answerOf(lookup, 'gone')).toBeNull()
    const listed: unknown[] = []
    for await (const [key, value] of store.list()) listed.push([key, { ...readSwitches(value) }])
    expect(listed).toEqual([
      ['*', { dkim: true }],
      ['a@example.org', { greylist: { wait: 60 }, spf: false }],
    ])
    expect(await store.get('nobody')).toBeNull()
    await store.close()
    expect(make({ query: 'SELECT 1 WHERE 1 = :key' }).edit).toBeUndefined()
  })

  if (quick !== '') {
    it('a statement that takes too long is ended by the server too', async () => {
      const lookup = await opened(make({ query: quick, timeout: '300ms', cache: false }))
      const began = performance.now()
      expect(await answerOf(lookup, 'a')).toMatch(/^LOOKUP_(FAILED|TIMEOUT)$/)
      expect(performance.now() - began).toBeLessThan(8_000)
    })
  }
}

requirePrograms('postgres')('look-ups in a real PostgreSQL', () => {
  let backend: Backend
  const make = (options: Omit<SqlOptions, 'url'>): ReturnType<typeof sql> => sql({ ...options, url: backend.url })

  beforeAll(async () => {
    backend = await startPostgres()
    await withPostgres(backend.url, async client => {
      for (const statement of [...USERS, createPolicy('postgres', 'milterhost_policy')]) await client.query(statement)
      await client.query("CREATE ROLE mail LOGIN PASSWORD 'right'")
    })
  })

  answers(() => backend.url, make, 'SELECT pg_sleep(20)::text || :key')

  it('a key that does not fit the column says nothing against the database', async () => {
    const lookup = await opened(
      make({ query: 'SELECT address FROM users WHERE number = :key', breaker: { failures: 1 } }),
    )
    expect(await answerOf(lookup, 'a@example.org')).toBe('LOOKUP_FAILED')
    expect(await answerOf(lookup, '1')).toBe('a@example.org')
  })

  it('a wrong password is told, and never shown', async () => {
    const entry = sql({ url: backend.url.replace('postgres@', 'mail:topsecret@'), query: 'SELECT 1 WHERE :key = 1' })
    const lookup = await opened(entry)
    const told = await Promise.resolve(lookup.find('a', never)).catch((error: Error) => error.message)
    expect(told).toContain('password authentication failed')
    expect(`${told}${lookup.describe}`).not.toContain('topsecret')
  })

  endures({
    server: () => backend.server,
    make: options => make({ ...options, query: 'SELECT number FROM users WHERE address = :key' }),
    key: 'a@example.org',
    value: 1,
  })
})

requirePrograms('mariadb')('look-ups in a real MariaDB', () => {
  let backend: Backend
  const make = (options: Omit<SqlOptions, 'url'>): ReturnType<typeof sql> => sql({ ...options, url: backend.url })

  beforeAll(async () => {
    backend = await startMariadb()
    await withMysql(backend.url, async connection => {
      for (const statement of [...USERS, createPolicy('mysql', 'milterhost_policy')]) await connection.query(statement)
      await connection.query("CREATE USER mail@'%' IDENTIFIED BY 'right'")
    })
  })

  answers(() => backend.url, make, 'SELECT SLEEP(20), :key')

  it('a wrong password is told, and never shown', async () => {
    const entry = sql({ url: backend.url.replace('root@', 'mail:topsecret@'), query: 'SELECT 1 WHERE :key = 1' })
    const lookup = await opened(entry)
    const told = await Promise.resolve(lookup.find('a', never)).catch((error: Error) => error.message)
    expect(told).toContain('Access denied')
    expect(`${told}${lookup.describe}`).not.toContain('topsecret')
  })

  endures({
    server: () => backend.server,
    make: options => make({ ...options, query: 'SELECT number FROM users WHERE address = :key' }),
    key: 'a@example.org',
    value: 1,
  })
})

describe('look-ups in an SQLite file', () => {
  let path: string
  beforeAll(() => {
    path = join(tempDir('sqlite'), 'mail.db')
    fill(path, 1)
  })

  const fill = (at: string, number: number): void => {
    const database = new DatabaseSync(at)
    for (const statement of [...USERS, createPolicy('sqlite', 'milterhost_policy')]) database.exec(statement)
    database.exec(`UPDATE users SET number = number + ${number - 1}`)
    database.close()
  }

  answers(
    () => `sqlite:${path}`,
    options => sql({ ...options, url: `sqlite:${path}` }),
    '',
  )

  it('a file that another one replaced is opened anew', async () => {
    const at = join(tempDir('sqlite'), 'mail.db')
    fill(at, 1)
    const lookup = await opened(
      sql({ url: `sqlite:${at}`, query: 'SELECT number FROM users WHERE address = :key', cache: false }),
    )
    expect(await answerOf(lookup, 'a@example.org')).toBe(1)
    fill(`${at}.new`, 10)
    renameSync(`${at}.new`, at)
    expect(await answerOf(lookup, 'a@example.org')).toBe(10)
  })

  it('a file that is not there is an error, and is not made', async () => {
    const lookup = await opened(sql('sqlite:/no/such.db'))
    expect(await answerOf(lookup, 'a')).toBe('LOOKUP_FAILED')
    expect(await codeOf((await sql('sqlite:/no/such.db').edit!(around())).get('a'))).toBe('LOOKUP_FAILED')
  })
})

describe('mistakes are told when the configuration is loaded', () => {
  it.each([
    [{ url: 'oracle://x' }, /postgres:, postgresql:, mysql:/],
    [{ url: 'postgres://x', query: 'SELECT 1' }, /must have :key/],
    [{ url: 'postgres://x', query: 'SELECT 1 WHERE a = $1' }, /write :key/],
    [{ url: 'mysql://x', query: 'SELECT 1 WHERE a = ?' }, /write :key/],
    [{ url: 'postgres://x', query: "SELECT ':key'" }, /must have :key/],
    [{ url: 'postgres://x', query: 'SELECT 1 WHERE a = :kye' }, /":kye"/],
    [{ url: 'postgres://x', table: 'a; DROP' }, /name of a table/],
    [{ url: 'postgres://x', conections: 1 }, /did you mean "connections"/],
    [{}, /url must be/],
  ])('%o', (options, message) => {
    expect(() => sql(options as never)).toThrow(message)
  })
})
