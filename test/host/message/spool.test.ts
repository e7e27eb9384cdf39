import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Body, BodyWriter } from '../../../src/host/message/snapshot.ts'
import { createSpool } from '../../../src/host/message/spool.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spool-test-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const MIB = 1024 * 1024
const openFiles = (): number => readdirSync('/proc/self/fd').length

async function fill(writer: BodyWriter, chunks: readonly Uint8Array[]): Promise<Body> {
  for (const chunk of chunks) await writer.write(chunk)
  return await writer.finish()
}

async function bytes(body: Body): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of body.chunks()) {
    expect(piece.length).toBeGreaterThan(0)
    expect(piece.length).toBeLessThanOrEqual(65_535)
    pieces.push(Buffer.from(piece))
  }
  return Buffer.concat(pieces)
}

describe('a body', () => {
  test.each([
    ['a file', 0],
    ['a file and shared memory', 65_535],
    ['shared memory', MIB],
  ])('of any pieces reads back the same, in memory or in %s, any number of times', async (_, shared) => {
    const spool = createSpool({ directory, shared, memory: 10_000, limit: MIB })
    const pieces = fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(pieces, async chunks => {
        const store = spool.message()
        const body = await fill(store.writer(), chunks)
        const want = Buffer.concat(chunks)
        expect(body.size).toBe(want.length)
        expect(body.memory === null).toBe(want.length > 10_000)
        expect(await Promise.all([bytes(body), bytes(body)])).toEqual([want, want])
        store.dispose()
      }),
      { numRuns: 60 },
    )
    await spool.close()
  })

  test('larger than several reads is given out in full pieces of one packet', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 1000, limit: 4 * MIB })
    const want = Buffer.alloc(700_001, 'abcdefg')
    const body = await fill(spool.message().writer(), [want.subarray(0, 3), want.subarray(3)])
    const sizes: number[] = []
    for await (const piece of body.chunks()) sizes.push(piece.length)
    expect(sizes).toEqual([...Array.from({ length: 10 }, () => 65_535), 700_001 - 655_350])
    expect((await bytes(body)).equals(want)).toBe(true)
    await spool.close()
  })

  test('is a copy: the caller may use its buffer again', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 8, limit: 1000 })
    const store = spool.message()
    const buffer = Buffer.from('abc')
    const small = store.writer()
    small.write(buffer)
    buffer.fill('x')
    expect((await bytes(await small.finish())).toString()).toBe('abc')
    const large = store.writer()
    const again = Buffer.alloc(500, 'a')
    const room = large.write(again)
    again.fill('x')
    await room
    expect((await bytes(await large.finish())).toString()).toBe('a'.repeat(500))
    await spool.close()
  })

  test('of many small writes does not cost a buffer each', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 256 * 1024, limit: MIB })
    const writer = spool.message().writer()
    for (let i = 0; i < 100_000; i++) writer.write(Buffer.from('x'))
    const body = await writer.finish()
    expect(body.memory?.length).toBeLessThan(20)
    expect(body.size).toBe(100_000)
    await spool.close()
  })

  test('that grows over the limit is refused with a code, at once and ever after', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: 100 })
    const writer = spool.message().writer()
    await writer.write(Buffer.alloc(100))
    const refused = expect.objectContaining({ code: 'LIMIT_BODY', message: expect.stringContaining('100 bytes') })
    expect(() => writer.write(Buffer.alloc(1))).toThrow(refused)
    expect(() => writer.write(Buffer.alloc(0))).toThrow(refused)
    expect(() => writer.finish()).toThrow(refused)
    await spool.close()
  })

  test('in a file has no name in the folder', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: MIB })
    const store = spool.message()
    const body = await fill(store.writer(), [Buffer.alloc(50_000)])
    expect(readdirSync(directory)).toEqual([])
    expect(body.memory).toBeNull()
    await spool.close()
  })

  test('makes a fast sender wait once more than a mebibyte is not on disk', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: 64 * MIB })
    const writer = spool.message().writer()
    let waits = 0
    for (let i = 0; i < 40; i++) {
      const room = writer.write(Buffer.alloc(100_000, i))
      if (room) {
        waits++
        await room
      }
    }
    expect(waits).toBeGreaterThan(1)
    expect(waits).toBeLessThan(10)
    expect((await writer.finish()).size).toBe(4_000_000)
    await spool.close()
  })
})

describe('shared memory', () => {
  test('keeps large bodies out of files as long as there is room', async () => {
    const spool = createSpool({ directory, shared: MIB, memory: 1000, limit: 4 * MIB })
    const before = openFiles()
    const stores = [spool.message(), spool.message()]
    const bodies = await Promise.all(stores.map((store, i) => fill(store.writer(), [Buffer.alloc(300_000, 65 + i)])))
    expect(openFiles()).toBe(before)
    for (const [i, body] of bodies.entries()) {
      expect(body.memory).toBeNull()
      expect((await bytes(body)).equals(Buffer.alloc(300_000, 65 + i))).toBe(true)
    }
    await spool.close()
  })

  test('that is used up sends a body to a file, and what it had taken goes to others', async () => {
    const spool = createSpool({ directory, shared: 5 * 65_535, memory: 1000, limit: 4 * MIB })
    const before = openFiles()
    const large = await fill(spool.message().writer(), [Buffer.alloc(2 * MIB, 'L')])
    expect(openFiles()).toBe(before + 1)
    const other = await fill(spool.message().writer(), [Buffer.alloc(300_000, 'o')])
    expect(openFiles()).toBe(before + 1)
    expect((await bytes(large)).equals(Buffer.alloc(2 * MIB, 'L'))).toBe(true)
    expect((await bytes(other)).equals(Buffer.alloc(300_000, 'o'))).toBe(true)
    await spool.close()
  })

  test('of a message that is over serves the next one, and who still reads gets an error and no other bytes', async () => {
    const spool = createSpool({ directory, shared: 5 * 65_535, memory: 1000, limit: 4 * MIB })
    const before = openFiles()
    for (let i = 0; i < 20; i++) {
      const store = spool.message()
      const body = await fill(store.writer(), [Buffer.alloc(300_000, i)])
      const pieces = (body.chunks() as Iterable<Buffer>)[Symbol.iterator]()
      expect(pieces.next().value).toEqual(Buffer.alloc(65_535, i))
      store.dispose()
      expect(() => pieces.next()).toThrow(expect.objectContaining({ code: 'SPOOL_GONE' }))
      await expect(bytes(body)).rejects.toMatchObject({ code: 'SPOOL_GONE' })
    }
    expect(openFiles()).toBe(before)
    await spool.close()
  })

  test('takes all but small bodies, and the next message has the same memory: nothing is left to the garbage collector', async () => {
    const spool = createSpool({ directory, shared: MIB, memory: 256 * 1024, limit: 4 * MIB })
    const memory = new Set<ArrayBufferLike>()
    for (let i = 0; i < 20; i++) {
      const store = spool.message()
      const body = await fill(store.writer(), [Buffer.alloc(20_000, i)])
      expect((await bytes(body)).equals(Buffer.alloc(20_000, i))).toBe(true)
      for await (const piece of body.chunks()) memory.add(piece.buffer)
      store.dispose()
    }
    expect(memory.size).toBe(1)
    await spool.close()
  })

  test('comes back from a body that is given up, refused or replaced', async () => {
    const spool = createSpool({ directory, shared: 5 * 65_535, memory: 1000, limit: 320_000 })
    const before = openFiles()
    const store = spool.message()
    for (let i = 0; i < 10; i++) {
      const writer = store.writer()
      await writer.write(Buffer.alloc(300_000))
      if (i % 2 === 0) writer.discard()
      else expect(() => writer.write(Buffer.alloc(300_000))).toThrow(expect.objectContaining({ code: 'LIMIT_BODY' }))
    }
    expect(openFiles()).toBe(before)
    await spool.close()
  })
})

describe('disposing of a message', () => {
  test('closes the files of all its bodies, finished or not', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: MIB })
    const before = openFiles()
    const store = spool.message()
    await fill(store.writer(), [Buffer.alloc(50_000)])
    await store.writer().write(Buffer.alloc(50_000))
    store.writer().write(Buffer.alloc(20))
    store.dispose()
    await spool.close()
    expect(openFiles()).toBe(before)
  })

  test('while a body is read gives the reader a coded error and no other bytes', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: 4 * MIB })
    const store = spool.message()
    const body = await fill(store.writer(), [Buffer.alloc(2_000_000, 'a')])
    const read = (async () => {
      let first = true
      for await (const piece of body.chunks()) {
        expect(piece.every(byte => byte === 0x61)).toBe(true)
        if (first) store.dispose()
        first = false
      }
    })()
    await expect(read).rejects.toMatchObject({ code: 'SPOOL_GONE' })
    await expect(bytes(body)).rejects.toMatchObject({ code: 'SPOOL_GONE' })
    await spool.close()
  })

  test('while a read is under way gives that error and not a bad descriptor', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: 4 * MIB })
    const store = spool.message()
    const body = await fill(store.writer(), [Buffer.alloc(2_000_000, 'a')])
    const readers = Array.from({ length: 8 }, () => bytes(body))
    store.dispose()
    for (const result of await Promise.allSettled(readers)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'SPOOL_GONE' } })
    }
    await spool.close()
  })

  test('leaves other messages alone', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: MIB })
    const [one, other] = [spool.message(), spool.message()]
    const body = await fill(other.writer(), [Buffer.alloc(50_000, 'b')])
    one.dispose()
    expect((await bytes(body)).length).toBe(50_000)
    await spool.close()
  })

  test('refuses its writers and new ones afterwards', () => {
    const spool = createSpool({ directory, shared: 0, memory: 256 * 1024, limit: MIB })
    const store = spool.message()
    const writer = store.writer()
    store.dispose()
    const gone = expect.objectContaining({ code: 'SPOOL_GONE' })
    expect(() => writer.write(Buffer.from('x'))).toThrow(gone)
    expect(() => store.writer()).toThrow(gone)
  })

  test('after one body was discarded does no harm', async () => {
    const spool = createSpool({ directory, shared: 0, memory: 10, limit: MIB })
    const store = spool.message()
    const writer = store.writer()
    await writer.write(Buffer.alloc(500))
    writer.discard()
    writer.discard()
    store.dispose()
    store.dispose()
    await spool.close()
  })
})

describe('a disk that fails', () => {
  test('shows as a coded error to who writes and to who finishes', async () => {
    const folder = join(directory, 'gone')
    const spool = createSpool({ directory: folder, shared: 0, memory: 10, limit: 64 * MIB })
    rmSync(folder, { recursive: true })
    const writer = spool.message().writer()
    const failed = { code: 'SPOOL_FAILED', message: expect.stringContaining(folder) }
    await expect(Promise.resolve(writer.write(Buffer.alloc(2 * MIB)))).rejects.toMatchObject(failed)
    await expect(Promise.resolve(writer.finish())).rejects.toMatchObject(failed)
    await spool.close()
  })

  test('that fails behind a small write shows at the next step', async () => {
    const folder = join(directory, 'gone')
    const spool = createSpool({ directory: folder, shared: 0, memory: 10, limit: MIB })
    rmSync(folder, { recursive: true })
    const writer = spool.message().writer()
    expect(writer.write(Buffer.alloc(100))).toBeUndefined()
    await expect(Promise.resolve(writer.finish())).rejects.toMatchObject({ code: 'SPOOL_FAILED' })
    await spool.close()
  })
})

describe('the spool folder', () => {
  const refuses = (path: string, why: RegExp): void =>
    expect(() => createSpool({ directory: path, shared: 0, memory: 1, limit: 1 })).toThrow(
      expect.objectContaining({ code: 'SPOOL_FOLDER', message: expect.stringMatching(why) }),
    )

  test('is made for us alone', () => {
    const path = join(directory, 'a', 'b')
    createSpool({ directory: path, shared: 0, memory: 1, limit: 1 })
    expect(statSync(path).mode & 0o777).toBe(0o700)
  })

  test('is refused when others may enter it', () => {
    const path = join(directory, 'open')
    mkdirSync(path)
    chmodSync(path, 0o750)
    refuses(path, /others may enter/)
  })

  test('is refused when it is a link or a file', () => {
    const [link, file] = [join(directory, 'link'), join(directory, 'file')]
    symlinkSync(directory, link)
    writeFileSync(file, '')
    refuses(link, /not a folder/)
    refuses(file, /exist|folder|director/i)
  })

  test('is cleared of what a killed process left, and of nothing else', () => {
    const leftover = join(directory, 'body-123e4567-e89b-12d3-a456-426614174000')
    const other = join(directory, 'notes')
    writeFileSync(leftover, '')
    writeFileSync(other, '')
    createSpool({ directory, shared: 0, memory: 1, limit: 1 })
    expect(existsSync(leftover)).toBe(false)
    expect(existsSync(other)).toBe(true)
  })
})
