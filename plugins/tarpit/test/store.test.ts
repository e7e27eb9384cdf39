import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { customerOf, isListed, plainAddress } from '../src/address.ts'
import { Patience } from '../src/patience.ts'
import { type Mark, Store } from '../src/store.ts'
import { Stand, SUSPECT } from './stand.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'milter-plugin-tarpit-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

interface Opened {
  readonly store: Store
  readonly path: string
  readonly problems: string[]
  now: number
}

function open(path = join(folder(), 'state', 'tarpit.sqlite'), capacity = 1_000): Opened {
  const problems: string[] = []
  const opened = { path, problems, now: 1_000_000 } as Omit<Opened, 'store'> & { store?: Store }
  opened.store = new Store({ path, capacity, now: () => opened.now, problem: (_, message) => problems.push(message) })
  onTestFinished(() => opened.store?.close())
  return opened as Opened
}

const mark = (expires: number, count = 1): Mark => ({ first: 1, last: 2, count, expires })

describe('the file', () => {
  it('keeps what was put until it expires, over a restart, readable by nobody else', () => {
    const first = open()
    first.store.put('failed', mark(2_000_000, 7), '192.0.2.1')
    first.store.close()
    const again = open(first.path)
    expect(again.store.get('failed', '192.0.2.1')).toEqual(mark(2_000_000, 7))
    expect(again.store.get('passed', '192.0.2.1')).toBeNull()
    expect(again.store.get('failed', '192.0.2.2')).toBeNull()
    again.now = 2_000_000
    expect(again.store.get('failed', '192.0.2.1')).toBeNull()
    expect(statSync(first.path).mode & 0o777).toBe(0o600)
  })

  it('forgets what is removed', () => {
    const { store } = open()
    store.put('grey', mark(2_000_000), 'a', 'b', 'c')
    store.remove('grey', 'a', 'b', 'c')
    expect(store.get('grey', 'a', 'b', 'c')).toBeNull()
  })

  it('holds no address', () => {
    const { store, path } = open()
    store.put('grey', mark(2_000_000), '192.0.2.77', 'alice@example.net', 'bob@example.com')
    store.close()
    const bytes = readFileSync(path, 'latin1')
    for (const text of ['192.0.2.77', 'alice', 'bob@']) expect(bytes).not.toContain(text)
  })

  it('does not grow beyond its limit: what would expire first makes room', () => {
    const { store, path } = open(undefined, 100)
    for (let n = 0; n < 1_024; n++) store.put('failed', mark(2_000_000 + n), `192.0.2.${n}`)
    const db = new DatabaseSync(path)
    expect(db.prepare('SELECT count(*) AS n FROM mark').get()?.n).toBe(100)
    db.close()
    expect(store.get('failed', '192.0.2.1023')).not.toBeNull()
    expect(store.get('failed', '192.0.2.0')).toBeNull()
  })
})

describe('what is wrong with it', () => {
  it.each<[string, (db: DatabaseSync) => void]>([
    ['a time that is text of 100 bytes', db => void db.prepare('UPDATE mark SET expires = ?').run('x'.repeat(100))],
    ['a count below zero', db => void db.prepare('UPDATE mark SET count = -3').run()],
    ['a time beyond all numbers', db => void db.prepare('UPDATE mark SET expires = 9e300').run()],
    ['a blob', db => void db.prepare('UPDATE mark SET first = ?').run(Buffer.alloc(100, 7))],
  ])('%s counts as not known, and is logged', (_, spoil) => {
    const opened = open()
    opened.store.put('passed', mark(2_000_000), '192.0.2.1')
    const db = new DatabaseSync(opened.path)
    spoil(db)
    db.close()
    expect(opened.store.get('passed', '192.0.2.1')).toBeNull()
    expect(opened.problems).toEqual(["the tarpit's file could not be read: clients count as not known"])
    opened.store.put('passed', mark(2_000_000), '192.0.2.1')
    expect(opened.store.get('passed', '192.0.2.1')).toEqual(mark(2_000_000))
  })

  it.each<[string, (path: string) => void]>([
    ['100 bytes of nonsense', path => writeFileSync(path, Buffer.alloc(100, 'nonsense '))],
    ['a torn page', path => writeFileSync(path, readFileSync(path).subarray(0, 5_000))],
    ['another database', path => new DatabaseSync(`${path}`).exec('DROP TABLE mark; CREATE TABLE mark (other)')],
  ])('%s is set aside at the start, and a new file begun', (_, spoil) => {
    const before = open()
    before.store.put('passed', mark(2_000_000), '192.0.2.1')
    before.store.close()
    spoil(before.path)
    const after = open(before.path)
    expect(after.store.get('passed', '192.0.2.1')).toBeNull()
    after.store.put('passed', mark(2_000_000), '192.0.2.1')
    expect(after.store.get('passed', '192.0.2.1')).not.toBeNull()
    expect(after.problems).toEqual(['the tarpit file is damaged: it was set aside, and a new one begun'])
    expect(readdirSync(join(before.path, '..')).filter(name => /\.damaged-.*(?<!-wal)$/.test(name))).toHaveLength(1)
  })

  it('a table that is dropped while it runs: a new file is begun, and serving goes on', () => {
    const { store, path, problems } = open()
    const db = new DatabaseSync(path)
    db.exec('DROP TABLE mark')
    db.close()
    expect(store.get('passed', '192.0.2.1')).toBeNull()
    store.put('passed', mark(2_000_000), '192.0.2.1')
    expect(store.get('passed', '192.0.2.1')).toEqual(mark(2_000_000))
    expect(problems).toEqual(['the tarpit file is damaged: it was set aside, and a new one begun'])
  })

  it('damage that two processes find: one begins a new file, the other goes over to it and takes nothing away', () => {
    const one = open()
    const other = open(one.path)
    const db = new DatabaseSync(one.path)
    db.exec('DROP TABLE mark')
    db.close()
    one.store.put('passed', mark(2_000_000), '192.0.2.1')
    other.store.put('passed', mark(2_000_000), '192.0.2.2')
    for (const { store } of [one, other])
      for (const client of ['192.0.2.1', '192.0.2.2']) expect(store.get('passed', client)).toEqual(mark(2_000_000))
    expect(readdirSync(join(one.path, '..')).filter(name => /\.damaged-.*(?<!-wal)$/.test(name))).toHaveLength(1)
    expect([...one.problems, ...other.problems]).toEqual([
      'the tarpit file is damaged: it was set aside, and a new one begun',
    ])
  })

  it('a lock that another process holds: nobody is known, it is told once a minute, and it works again afterwards', () => {
    const opened = open()
    opened.store.put('passed', mark(9_000_000), '192.0.2.1')
    const other = new DatabaseSync(opened.path)
    other.exec('BEGIN EXCLUSIVE')
    for (let n = 0; n < 5; n++) opened.store.put('passed', mark(9_000_000), `192.0.2.1${n}`)
    expect(opened.problems).toEqual(["the tarpit's file could not be written: clients count as not known"])
    expect(() => opened.store.probe()).toThrow()
    opened.now += 60_000
    opened.store.put('passed', mark(9_000_000), '192.0.2.99')
    expect(opened.problems).toHaveLength(2)
    other.exec('ROLLBACK')
    other.close()
    opened.store.probe()
    opened.store.put('passed', mark(9_000_000), '192.0.2.99')
    expect(opened.store.get('passed', '192.0.2.99')).not.toBeNull()
  })

  it('a secret that is none is made anew', () => {
    const before = open()
    before.store.close()
    const db = new DatabaseSync(before.path)
    db.exec("UPDATE fact SET value = 'short' WHERE name = 'secret'")
    db.close()
    const { store, path } = open(before.path)
    store.put('failed', mark(2_000_000), '192.0.2.1')
    store.close()
    expect(open(path).store.get('failed', '192.0.2.1')).not.toBeNull()
  })

  it('mail goes on while the file fails', async () => {
    const path = join(folder(), 'tarpit.sqlite')
    const stand = await Stand.start({ store: { path } })
    const db = new DatabaseSync(path)
    db.exec('BEGIN EXCLUSIVE')
    onTestFinished(() => db.close())
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
    db.exec('ROLLBACK')
    await stand.send()
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
  })

  it('what was learned outlives a restart', async () => {
    const path = join(folder(), 'tarpit.sqlite')
    const first = await Stand.start({ store: { path } })
    await first.send()
    await first.leave({ ...SUSPECT, address: '203.0.113.50' })
    await first.host.close()
    appendFileSync(path, '')
    const again = await Stand.start({ store: { path } })
    expect(await again.send()).toMatchObject({ kind: 'continue', held: 0 })
    expect(await again.send({ ...SUSPECT, address: '203.0.113.50' })).toMatchObject({ kind: 'tempfail', held: 0 })
  })
})

describe('addresses', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:DB8:0001:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['not an address', 'not an address'],
    ['', ''],
  ])('%s passes as %s', (address, customer) => expect(customerOf(address)).toBe(customer))

  it('an IPv6 address fails alone', () => {
    expect(plainAddress('2001:DB8::1')).toBe('2001:db8::1')
  })

  it('a list holds addresses and domains', () => {
    const list = new Set(['postmaster@example.com', 'example.org'])
    const listed = (address: string): boolean => isListed(list, address)
    expect(['Postmaster@Example.COM', 'a@example.org', 'a@sub.example.org'].map(listed)).toEqual([true, true, true])
    expect(['a@example.com', 'a@notexample.org', '', 'example.com'].map(listed)).toEqual([false, false, false, false])
  })
})

describe('the curve of patience', () => {
  const options = { most: 125_000, least: 30_000, keep: 0.95 }

  it('is not believed before it has seen a hundred leave', () => {
    const patience = new Patience(options)
    for (let n = 0; n < 99; n++) patience.departed(40_000)
    expect(patience.chosen).toBe(125_000)
    patience.departed(40_000)
    expect(patience.chosen).toBe(41_000)
  })

  it('is neither shorter than the least nor longer than what is configured', () => {
    const patience = new Patience(options)
    for (let n = 0; n < 100; n++) patience.departed(5_000)
    expect(patience.chosen).toBe(30_000)
    for (let n = 0; n < 900; n++) patience.departed(500_000)
    expect(patience.chosen).toBe(125_000)
  })

  it('outlives a restart, and old departures count less', () => {
    const patience = new Patience(options)
    for (let n = 0; n < 1_000; n++) patience.departed(40_000)
    const again = new Patience(options, String(patience))
    expect(again.chosen).toBe(41_000)
    for (let n = 0; n < 3_000; n++) again.departed(60_000)
    expect(again.chosen).toBe(61_000)
  })

  it.each(['', 'null', '{"a":1}', '[1,-2]', '["x"]', `[${'1,'.repeat(9_000)}1]`, 'x'.repeat(100)])(
    'nonsense that was kept is as good as nothing: %.20s',
    kept => {
      expect(new Patience(options, kept).chosen).toBe(125_000)
    },
  )
})

describe('a configuration that is only tried out', () => {
  const files = (path: string): string[] => readdirSync(path).map(name => name.split('.sqlite')[0]!)

  it('learns as it would, and leaves the file alone', async () => {
    const path = folder()
    const file = join(path, 'tarpit.sqlite')
    const stand = await Stand.start({ store: { path: file } }, { rehearsal: true })
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 125 })
    expect(await stand.send()).toMatchObject({ kind: 'continue', held: 0 })
    expect(stand.decisions).toEqual(['waited', 'credited', 'known'])
    expect(files(path)).toEqual([])
  })

  it('knows nobody whom the one that serves has learned', async () => {
    const file = join(folder(), 'tarpit.sqlite')
    const serves = await Stand.start({ store: { path: file } })
    await serves.send()
    const tried = await Stand.start({ store: { path: file } }, { rehearsal: true, clock: serves.clock })
    expect(await tried.send()).toMatchObject({ held: 125 })
    expect(await serves.send()).toMatchObject({ held: 0 })
  })
})
