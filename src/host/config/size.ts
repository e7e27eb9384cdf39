/**
 * Sizes as the postmaster writes them: `'256KiB'`, `'10MB'`, or a number of bytes.
 *
 * `KiB MiB GiB` are powers of 1024; `kB MB GB` of 1000; a bare `K M G` is the binary one, as in Postfix's and
 * Sendmail's own documentation. The result is whole bytes.
 */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kib: 1024,
  kb: 1000,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  mb: 1000 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  gb: 1000 ** 3,
}

/** Bytes. Throws a `RangeError` whose message completes "‹option› …". */
export function parseSize(value: unknown): number {
  const bytes = typeof value === 'number' ? value : typeof value === 'string' ? parseText(value) : Number.NaN
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
    throw new RangeError(`must be a size such as "256KiB", "10MB" or a number of bytes, not ${shown}`)
  }
  return bytes
}

function parseText(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const unit = match && UNITS[match[2]!.toLowerCase()]
  return match && unit !== null && unit !== undefined ? Math.round(Number(match[1]) * unit) : Number.NaN
}
