/**
 * Reads cdb, the constant database (D. J. Bernstein's format, cr.yp.to/cdb/cdb.txt), which `postmap cdb:` writes. Pure.
 *
 * 256 places of hash tables, then the records one after the other, then the tables. All records are taken into memory once; the hash
 * tables are not needed for that, but tell where the records end. Programs other than Postfix write a NUL behind key and value.
 */

const HEADER = 2048

/** The first value of each key. Throws when it is no cdb, or damaged. */
export function readCdb(data: Buffer): ReadonlyMap<string, string> {
  const end = endOfRecords(data)
  const table = new Map<string, string>()
  let at = HEADER
  while (at < end) {
    if (at + 8 > end) throw new Error('it is a damaged cdb')
    const value = at + 8 + data.readUInt32LE(at)
    const next = value + data.readUInt32LE(at + 4)
    if (next > end) throw new Error('it is a damaged cdb')
    const key = text(data.subarray(at + 8, value))
    if (!table.has(key)) table.set(key, text(data.subarray(value, next)))
    at = next
  }
  return table
}

function endOfRecords(data: Buffer): number {
  if (data.length < HEADER) throw new Error('it is no cdb: too short')
  let end = data.length
  for (let place = 0; place < HEADER; place += 8) {
    const start = data.readUInt32LE(place)
    const size = data.readUInt32LE(place + 4) * 8
    if (start < HEADER || start + size > data.length) throw new Error('it is no cdb, or not whole')
    end = Math.min(end, start)
  }
  return end
}

const text = (bytes: Buffer): string => (bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes).toString('utf8')
