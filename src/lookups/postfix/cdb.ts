/**
 * Reads cdb, the constant database (D. J. Bernstein's format, cr.yp.to/cdb/cdb.txt), which `postmap cdb:` writes. Pure.
 *
 * 256 hash tables of (hash, position) pairs, then open addressing. Postfix writes keys and values without a trailing NUL, other
 * programs with one: both are found, as Postfix does.
 */

const HEADER = 2048

export class Cdb {
  readonly #data: Buffer

  /** Throws when it is no cdb. */
  constructor(data: Buffer) {
    if (data.length < HEADER) throw new Error('it is no cdb: too short')
    for (let table = 0; table < 256; table++) {
      const end = data.readUInt32LE(table * 8) + data.readUInt32LE(table * 8 + 4) * 8
      if (end > data.length) throw new Error('it is no cdb, or not whole')
    }
    this.#data = data
  }

  /** The first value of a key. Throws when the file is damaged. */
  get(key: string): string | null {
    const bytes = Buffer.from(key, 'utf8')
    return this.#find(bytes) ?? this.#find(Buffer.concat([bytes, Buffer.of(0)]))
  }

  #find(key: Buffer): string | null {
    const data = this.#data
    let hash = 5381
    for (const byte of key) hash = (((hash << 5) + hash) ^ byte) >>> 0
    const table = (hash & 255) * 8
    const start = data.readUInt32LE(table)
    const slots = data.readUInt32LE(table + 4)
    for (let probe = 0; probe < slots; probe++) {
      const slot = start + (((hash >>> 8) + probe) % slots) * 8
      const position = data.readUInt32LE(slot + 4)
      if (position === 0) return null
      if (data.readUInt32LE(slot) !== hash) continue
      const keyLength = data.readUInt32LE(position)
      const from = position + 8
      if (!data.subarray(from, from + keyLength).equals(key)) continue
      const value = data.subarray(from + keyLength, from + keyLength + data.readUInt32LE(position + 4))
      return (value.at(-1) === 0 ? value.subarray(0, -1) : value).toString('utf8')
    }
    return null
  }
}
