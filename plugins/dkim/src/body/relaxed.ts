/**
 * The hash of a body canonicalized by `relaxed` (RFC 6376 §3.4.4), of pieces of any size, in constant memory.
 *
 * Not mailauth's, which looks at every byte several times and copies every line that has a tab or two blanks: this one looks
 * once, and hands what needs no change to the hash as it lies in the piece. It gives the same bytes (a test compares them): a
 * lone LF ends a line too, a lone CR is text. What a line ends with, and the empty lines that may be the last, are held as
 * numbers, never as bytes. Made by `bodyHash` for the verifier and the signer.
 */
import { createHash, type Hash } from 'node:crypto'
import { type StructureFinder, UNLOOKED } from './unlooked.ts'

const TAB = 9
const LF = 10
const CR = 13
const BLANK = 32

/** Bytes gathered before they are hashed: to hash a short line alone costs more than to copy it. */
const ROOM = 16_384
const CRLF = Buffer.from('\r\n')
const SPACE = Buffer.from(' ')
const BREAKS = Buffer.from('\r\n'.repeat(512))

export class RelaxedHash {
  mimeStructureStartFinder: StructureFinder = UNLOOKED
  /** Of the body as it came. */
  byteLength = 0
  /** After canonicalization, and the part of it that `l=` lets be hashed. */
  canonicalizedLength = 0
  bodyHashedBytes = 0
  readonly #hash: Hash
  readonly #limit: number
  readonly #gathered = Buffer.allocUnsafeSlow(ROOM)
  #filled = 0
  /** What came after the last byte that was written, in this order: line breaks, blanks or tabs, a CR. */
  #breaks = 0
  #blank = false
  #cr = false

  /** `limit`: `l=`. */
  constructor(algorithm: string, limit: number = Number.POSITIVE_INFINITY) {
    this.#hash = createHash(algorithm)
    this.#limit = limit
  }

  update(piece: Uint8Array): void {
    this.byteLength += piece.length
    let at = 0
    while (at < piece.length) {
      at = this.#hold(piece, at)
      if (at === piece.length) return
      this.#release()
      const end = endOfClean(piece, at)
      this.#write(piece, at, end)
      at = end
    }
  }

  digest(encoding: 'base64'): string {
    if (this.#cr) this.#release()
    if (this.canonicalizedLength > 0) this.#write(CRLF, 0, 2)
    this.#flush()
    return this.#hash.digest(encoding)
  }

  getMimeStructureStart(): false {
    return false
  }

  /** Takes blanks and line breaks in; where the next byte of text is. */
  #hold(piece: Uint8Array, from: number): number {
    for (let at = from; at < piece.length; at++) {
      switch (piece[at]) {
        case LF:
          this.#breaks++
          this.#blank = false
          this.#cr = false
          break
        case CR:
          if (this.#cr) this.#release()
          this.#cr = true
          break
        case BLANK:
        case TAB:
          if (this.#cr) this.#release()
          this.#blank = true
          break
        default:
          return at
      }
    }
    return piece.length
  }

  /** Writes what is held: text follows. */
  #release(): void {
    for (let left = this.#breaks; left > 0; left -= BREAKS.length / 2)
      this.#write(BREAKS, 0, Math.min(left * 2, BREAKS.length))
    if (this.#blank) this.#write(SPACE, 0, 1)
    if (this.#cr) this.#write(CRLF, 0, 1)
    this.#breaks = 0
    this.#blank = false
    this.#cr = false
  }

  #write(bytes: Uint8Array, from: number, to: number): void {
    this.canonicalizedLength += to - from
    const end = Math.min(to, from + this.#limit - this.bodyHashedBytes)
    const length = end - from
    this.bodyHashedBytes += length
    if (length > ROOM - this.#filled) this.#flush()
    if (length > ROOM) {
      this.#hash.update(bytes.subarray(from, end))
      return
    }
    const target = this.#gathered
    // A native copy costs more than a few bytes do.
    if (length < 16) for (let at = from; at < end; at++) target[this.#filled++] = bytes[at]!
    else {
      target.set(bytes.subarray(from, end), this.#filled)
      this.#filled += length
    }
  }

  #flush(): void {
    if (this.#filled === 0) return
    this.#hash.update(this.#gathered.subarray(0, this.#filled))
    this.#filled = 0
  }
}

/** Where the text that begins at `from` ceases to be as canonicalization leaves it, or may do so in the next piece. */
function endOfClean(piece: Uint8Array, from: number): number {
  const { length } = piece
  let at = from + 1
  for (; at < length; at++) {
    const byte = piece[at]!
    if (byte > BLANK) continue
    if (byte === BLANK) {
      if (at + 1 < length && piece[at + 1]! > BLANK) at++
      else return at
    } else if (byte === CR) {
      if (at + 2 < length && piece[at + 1] === LF && piece[at + 2]! > BLANK) at += 2
      else return at
    } else if (byte === LF || byte === TAB) return at
  }
  return length
}
