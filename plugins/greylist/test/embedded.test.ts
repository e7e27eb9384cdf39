import { type ChildProcess, spawn } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EmbeddedStore } from '../src/embedded.ts'
import { Keys } from '../src/keys.ts'
import type { Entry, State } from '../src/store.ts'
import { collect, DAY, HOUR, question, SECOND, storeContract, type TestTime } from './store-contract.ts'

function open(path: string, time: TestTime, problems?: string[], capacity?: number): EmbeddedStore {
  const problem = (fields: object, message: string): void => {
    if (problems === undefined) throw new Error(`${message} ${JSON.stringify(fields)}`)
    problems.push(message)
  }
  return new EmbeddedStore({ path, sweepEvery: 0, now: () => time.now, problem, ...(capacity && { capacity }) })
}

let folder: string
let path: string
const time: TestTime = { now: 0 }
const children: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'greylist-'))
  path = join(folder, 'greylist.sqlite')
  time.now = Date.parse('2026-01-01T00:00:00Z')
})
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

storeContract('embedded', async given => {
  const store = open(path, given)
  return { store, again: async () => open(path, given), end: () => store.close() }
})

const OWN_NAMES = new URL('../../../scripts/own-names.mjs', import.meta.url).href
const CHILD = fileURLToPath(new URL('./embedded-child.ts', import.meta.url))

/** A process of its own at work on the file. */
function worker(from: number, to: number, origins: number, begin = 0, every = 0) {
  const child = spawn(process.execPath, [
    '--import',
    OWN_NAMES,
    CHILD,
    path,
    ...[from, to, origins, begin, every].map(String),
  ])
  children.push(child)
  let said = ''
  let complaints = ''
  child.stdout.on('data', data => {
    said += data
  })
  child.stderr.on('data', data => {
    complaints += data
  })
  return {
    child,
    ended: new Promise<void>(resolve => child.once('close', () => resolve())),
    /** Whole lines only: a process may be killed in the middle of one. */
    answers: () =>
      said
        .slice(0, said.lastIndexOf('\n') + 1)
        .split('\n')
        .slice(0, -1)
        .map(line => line.split(' ') as [string, State]),
    complaints: () => complaints,
  }
}

describe('processes that die', () => {
  test('killed at any moment, nothing that was answered is lost', async () => {
    const keys = new Keys('a secret for tests')
    let next = 0
    for (const lines of [1, 50, 200, 500]) {
      const process = worker(next, next + 1_000_000, 97)
      await expect.poll(() => process.answers().length, { timeout: 15_000, interval: 10 }).toBeGreaterThanOrEqual(lines)
      process.child.kill('SIGKILL')
      await process.ended
      const answered = process.answers()
      const problems: string[] = []
      const store = open(path, { now: Date.now() }, problems)
      for (const [at] of answered) {
        const seen = await store.look({
          origin: keys.origin(`n:${Number(at) % 97}`),
          domain: keys.domain('example.org'),
          tuples: [keys.tuple('sender', at)],
          now: Date.now(),
        })
        expect(seen.tuples[0], `answer ${at} of ${answered.length}`).not.toBeNull()
      }
      const { entries } = await store.stats()
      expect(entries.tuple).toBeGreaterThanOrEqual(next === 0 ? answered.length : 0)
      expect(problems).toEqual([])
      await store.close()
      next = Number(answered.at(-1)![0]) + 1
    }
  })

  test('three workers race for the same keys: each key is first seen once', async () => {
    // Late enough for all to have begun; who is later asks without a pause until it has caught up.
    const begin = Date.now() + 1_500
    const workers = [1, 2, 3].map(() => worker(0, 400, 7, begin, 4))
    await Promise.all(workers.map(({ ended }) => ended))
    const states = new Map<string, State[]>()
    for (const { answers, complaints } of workers) {
      expect(complaints()).toBe('')
      expect(answers()).toHaveLength(400)
      for (const [at, state] of answers()) states.set(at, [...(states.get(at) ?? []), state])
    }
    for (const [at, all] of states) expect(all.sort(), at).toEqual(['early', 'early', 'new'])
    const store = open(path, { now: Date.now() })
    const pending = (await collect(store.entries(Date.now()))).filter(({ kind }) => kind === 'pending')
    expect(pending.reduce((sum, { count }) => sum + count, 0)).toBe(400)
    expect((await store.stats()).entries).toMatchObject({ tuple: 400, pending: 7 })
    await store.close()
  })

  test('what was learned is there after a restart', async () => {
    const before = open(path, time)
    await before.check(question(time))
    const secret = await before.secret()
    await before.close()
    time.now += 61 * SECOND
    const after = open(path, time)
    expect(Buffer.from(await after.secret())).toEqual(Buffer.from(secret))
    expect((await after.check(question(time))).state).toBe('passed')
    await after.close()
  })
})

/** A file with some thousand marks. */
async function filled(entries = 3_000): Promise<void> {
  const store = open(path, time)
  const keys = new Keys('filled')
  for (let at = 0; at < entries; at += 500) {
    const batch = Array.from({ length: 500 }, (_, i): Entry => {
      const mark = { first: time.now, last: time.now, count: 0, expires: time.now + DAY }
      return { kind: 'tuple', origin: keys.origin(`${at + i}`), item: keys.tuple('a', `${at + i}`), ...mark }
    })
    await store.merge(batch, time.now)
  }
  await store.close()
}

function overwrite(file: string, at: number, bytes: Uint8Array): void {
  const descriptor = openSync(file, 'r+')
  writeSync(descriptor, bytes, 0, bytes.length, at)
  closeSync(descriptor)
}

const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => (i * 7919 + 13) % 256))

describe('files that are damaged', () => {
  test.each<[string, () => void]>([
    ['nonsense of 100 bytes', () => writeFileSync(path, noise(100))],
    ['a text file', () => writeFileSync(path, 'greylist\n'.repeat(1_000))],
    ['garbage in the header', () => overwrite(path, 0, noise(100))],
    [
      'garbage in the middle, and a log left by a process that died',
      () => {
        overwrite(path, 4_096 * 3, noise(4_096 * 20))
        writeFileSync(`${path}-wal`, noise(32))
      },
    ],
    ['cut in the middle', () => truncateSync(path, 4_096 * 10 + 17)],
    ['cut to half a page', () => truncateSync(path, 2_000)],
    [
      'another program’s database',
      () => {
        rmSync(path)
        const db = new DatabaseSync(path)
        db.exec('CREATE TABLE mark (other TEXT); PRAGMA user_version = 1')
        db.close()
      },
    ],
  ])('%s: set aside with a word in the log, and decisions go on', async (_, damage) => {
    await filled()
    damage()
    const problems: string[] = []
    const store = open(path, time, problems)
    expect((await store.check(question(time))).state).toBe('new')
    time.now += 61 * SECOND
    expect((await store.check(question(time))).state).toBe('passed')
    expect((await collect(store.entries(time.now))).length).toBeGreaterThan(0)
    await store.close()
    const aside = readdirSync(folder).filter(name => name.includes('.damaged-') && !name.endsWith('-wal'))
    expect(aside).toHaveLength(1)
    expect(problems).toContain('the greylist file is damaged: it was set aside, and a new one begun')
    await open(path, time).close()
  })

  test.each<[string, () => void]>([
    ['an empty file', () => writeFileSync(path, '')],
    ['a torn log', () => appendFileSync(`${path}-wal`, noise(4_000))],
  ])('%s is no damage', async (_, damage) => {
    await filled()
    damage()
    const problems: string[] = []
    const store = open(path, time, problems)
    expect((await store.check(question(time))).state).toBe('new')
    expect(problems).toEqual([])
    await store.close()
  })

  test('a log torn at any place loses its end and nothing else', async () => {
    await filled(500)
    const live = open(path, time)
    for (let i = 0; i < 40; i++) await live.check(question(time, { origin: `n:${i}`, to: [`r${i}@example.com`] }))
    const wal = readFileSync(`${path}-wal`)
    const copy = join(folder, 'copy.sqlite')
    for (let part = 1; part < 8; part++) {
      copyFileSync(path, copy)
      writeFileSync(`${copy}-wal`, wal.subarray(0, Math.floor((wal.length * part) / 8) + 5))
      const problems: string[] = []
      const store = open(copy, time, problems)
      const states: State[] = []
      for (let i = 0; i < 40; i++)
        states.push((await store.check(question(time, { origin: `n:${i}`, to: [`r${i}@example.com`] }))).state)
      // The first so many are there, none after one that is lost.
      expect(states.join(' ')).toMatch(/^(early ?)*(new ?)*$/)
      expect(problems).toEqual([])
      await store.close()
    }
    await live.close()
  })

  test('damage that shows while it runs: the decision is made on a new file, and another process follows', async () => {
    await filled()
    const problems: string[] = []
    const one = open(path, time, problems)
    const other = open(path, time, problems)
    await one.check(question(time))
    const db = new DatabaseSync(path)
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    db.close()
    overwrite(path, 4_096, noise(statSync(path).size - 4_096))
    await one.close()
    const fresh = open(path, time, problems)
    expect((await fresh.check(question(time))).state).toBe('new')
    await other.sweep()
    expect((await other.check(question(time))).state).toBe('early')
    expect(problems).toContain('the greylist file is damaged: it was set aside, and a new one begun')
    expect(problems).toContain('the greylist file was replaced: the new one is used from now on')
    await Promise.all([fresh.close(), other.close()])
  })

  test('a place that is gone for a while is used again when it is back', async () => {
    const problems: string[] = []
    const store = open(path, time, problems)
    await store.check(question(time))
    rmSync(path)
    mkdirSync(path)
    await expect(store.sweep()).rejects.toThrow()
    await expect(store.check(question(time))).rejects.toThrow()
    rmdirSync(path)
    expect((await store.check(question(time))).state).toBe('new')
    expect((await store.check(question(time))).state).toBe('early')
    await store.close()
  })

  test('a file of a later release is left alone', () => {
    const db = new DatabaseSync(path)
    db.exec('PRAGMA user_version = 99')
    db.close()
    expect(() => open(path, time)).toThrow('newer release')
  })
})

describe('entries that make no sense', () => {
  test.each<[string, string]>([
    ['text where a time should be', "UPDATE mark SET first = 'yesterday'"],
    ['100 bytes of nonsense', 'UPDATE mark SET expires = randomblob(100)'],
    ['a number that no clock shows', 'UPDATE mark SET last = 9223372036854775807'],
    ['a negative time', 'UPDATE mark SET first = -5'],
    ['half a second', 'UPDATE mark SET first = 0.5'],
    ['another kind', 'UPDATE mark SET kind = 5'],
    ['a kind that is none', "UPDATE mark SET kind = 'tuple'"],
  ])('%s counts as absent, is told, and is written over', async (_, sql) => {
    const problems: string[] = []
    const store = open(path, time, problems)
    await store.check(question(time))
    const db = new DatabaseSync(path)
    db.exec(sql)
    time.now += 61 * SECOND
    expect((await store.check(question(time))).state).toBe('new')
    expect(problems).toContain('a greylist entry makes no sense: taken as absent')
    time.now += 61 * SECOND
    expect((await store.check(question(time))).state).toBe('passed')
    for await (const entry of store.entries(time.now)) expect(entry.count).toBe(1)
    await store.sweep()
    db.close()
    await store.close()
  })

  test('numbers and a secret of the wrong kind are no numbers and no secret', async () => {
    const store = open(path, time, [])
    await store.secret()
    await store.count(new Map([['deferred', 3]]))
    const db = new DatabaseSync(path)
    db.exec("UPDATE fact SET value = 'nonsense'")
    db.exec("UPDATE fact SET value = 9223372036854775807 WHERE name = 'entries:tuple'")
    db.close()
    expect(await store.secret()).toHaveLength(32)
    expect((await store.stats()).counters.get('deferred')).toBe(0)
    expect((await store.check(question(time))).state).toBe('new')
    await store.count(new Map([['deferred', 3]]))
    expect((await store.stats()).counters.get('deferred')).toBe(3)
    await store.close()
  })

  test('a key that is none comes out of no export', async () => {
    const store = open(path, time, [])
    await store.check(question(time))
    const db = new DatabaseSync(path)
    db.exec("INSERT INTO mark VALUES ('text', 0, 1, 1, 0, 9999999999), (x'00', 0, 1, 1, 0, 9999999999)")
    db.close()
    expect(await collect(store.entries(time.now))).toHaveLength(2)
    await store.close()
  })
})

describe('room', () => {
  const known = (at: number, last: number): Entry => ({
    kind: 'domain',
    origin: new Keys('known').origin(String(at)),
    item: new Keys('known').domain('x'),
    first: last,
    last,
    count: 1,
    expires: last + 36 * DAY,
  })

  test('at the limit newcomers push out the oldest attempts, never who is known', async () => {
    const store = open(path, time, undefined, 1_000)
    await store.merge(
      Array.from({ length: 300 }, (_, at) => known(at, time.now)),
      time.now,
    )
    for (let i = 0; i < 1_500; i++) {
      time.now += SECOND
      await store.check(question(time, { origin: `n:${i}`, policy: { window: 36 * DAY } }))
    }
    const { entries, counters } = await store.stats()
    expect(entries.domain).toBe(300)
    expect(entries.tuple + entries.pending).toBeLessThanOrEqual(702)
    expect(counters.get('evicted')).toBeGreaterThan(1_000)
    const lasts = (await collect(store.entries(time.now)))
      .filter(({ kind }) => kind === 'tuple')
      .map(({ last }) => last)
    const middle = time.now - 750 * SECOND
    expect(lasts.filter(last => last > middle).length).toBeGreaterThan(lasts.length * 0.8)
    await store.close()
  })

  test('full of who is known, a newcomer is told so and nothing is lost; who earned it is taken', async () => {
    const store = open(path, time, undefined, 1_000)
    for (let at = 0; at < 1_000; at += 500)
      await store.merge(
        Array.from({ length: 500 }, (_, i) => known(at + i, time.now)),
        time.now,
      )
    expect((await store.check(question(time))).state).toBe('full')
    expect((await store.stats()).entries).toMatchObject({ domain: 1_000, tuple: 0, pending: 0 })
    await store.credit(question(time))
    expect((await store.check(question(time))).state).toBe('domain')
    await store.close()
  })

  test('what has expired is cleared away in small steps, and who never came again is counted', async () => {
    await filled(2_000)
    const store = open(path, time)
    await store.credit(question(time))
    time.now += DAY
    const steps: number[] = []
    for (let i = 0; i < 6; i++) steps.push(await store.sweep())
    expect(Math.max(...steps)).toBeLessThanOrEqual(500)
    expect(steps.reduce((sum, gone) => sum + gone)).toBe(2_000)
    const { entries, counters } = await store.stats()
    expect(entries).toMatchObject({ tuple: 0, domain: 1, origin: 1 })
    expect(counters.get('never-retried')).toBe(2_000)
    await store.close()
  })

  test('what was renewed between looking and clearing stays', async () => {
    const store = open(path, time)
    await store.check(question(time))
    time.now += 61 * SECOND
    await store.check(question(time))
    for (let day = 0; day < 60; day++) {
      time.now += DAY
      await store.check(question(time))
      await store.sweep()
    }
    expect((await store.check(question(time))).state).toBe('known')
    await store.close()
  })
})

describe('the file', () => {
  test('is its owner’s alone, with its log', async () => {
    const store = open(join(folder, 'new/folder/greylist.sqlite'), time)
    await store.check(question(time))
    for (const name of ['greylist.sqlite', 'greylist.sqlite-wal', 'greylist.sqlite-shm'])
      expect(statSync(join(folder, 'new/folder', name)).mode & 0o777, name).toBe(0o600)
    expect(statSync(join(folder, 'new/folder')).mode & 0o777).toBe(0o700)
    await store.close()
  })

  test('holds no address', async () => {
    const store = open(path, time)
    await store.check(
      question(time, { origin: 'a:203.0.113.99', from: 'someone@secret.example', to: ['other@hidden.example'] }),
    )
    await store.close()
    const bytes = readFileSync(path, 'latin1')
    for (const text of ['203.0.113', 'secret.example', 'hidden', 'someone']) expect(bytes).not.toContain(text)
  })

  test('another’s lock is awaited without standing still, and for a quarter of a second at most', async () => {
    const store = open(path, time)
    const db = new DatabaseSync(path)
    db.exec('BEGIN IMMEDIATE')
    let turns = 0
    const timer = setInterval(() => turns++, 5)
    await expect(store.check(question(time))).rejects.toThrow(/locked/)
    clearInterval(timer)
    expect(turns).toBeGreaterThan(3)
    const waiting = store.check(question(time))
    setTimeout(() => db.exec('ROLLBACK'), 60)
    expect((await waiting).state).toBe('new')
    db.close()
    await store.close()
  })

  test('a known sender is answered while another process holds the lock', async () => {
    const store = open(path, time)
    await store.credit(question(time))
    const db = new DatabaseSync(path)
    db.exec('BEGIN IMMEDIATE')
    time.now += HOUR / 2
    expect((await store.check(question(time))).state).toBe('domain')
    db.exec('ROLLBACK')
    db.close()
    await store.close()
  })
})
