/**
 * Bodies that lie in memory, and the line ends of replacement bodies.
 *
 * What the MTA sends is never touched. What a filter puts in its place may have bare LF and no line end at the end: both
 * MTAs take that from a milter attached to them, and so does the host, with the result that Postfix 3.7 gives: a bare LF
 * becomes CRLF, a bare CR stays, a last line without an end gets one. (Sendmail 8.17 hands an unended last line on to its
 * next milter, but ends it when it delivers.)
 */
import type { Body, BodyWriter } from './snapshot.ts'

/** The longest piece a body is given out in: one packet of the milter protocol. */
export const PIECE = 65_535

const CR = 0x0d
const LF = 0x0a
const CRLF: Buffer = Buffer.from('\r\n')

/** A body of pieces that are already in memory and will not be written to. */
export function memoryBody(pieces: readonly Buffer[]): Body {
  const memory = pieces.every(piece => piece.length > 0 && piece.length <= PIECE) ? pieces : cut(pieces)
  let size = 0
  for (const piece of memory) size += piece.length
  return { size, memory, chunks: () => memory }
}

function cut(pieces: readonly Buffer[]): Buffer[] {
  const out: Buffer[] = []
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += PIECE) out.push(piece.subarray(at, at + PIECE))
  }
  return out
}

export const emptyBody: Body = memoryBody([])

/** A writer that passes on to `writer` what a filter gave, with every line ended by CRLF. */
export function normalizeLines(writer: BodyWriter): BodyWriter {
  let last = LF
  return {
    write(chunk) {
      if (chunk.length === 0) return
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      const out = withCarriageReturns(bytes, last)
      last = bytes[bytes.length - 1] as number
      return writer.write(out)
    },
    finish() {
      if (last === LF) return writer.finish()
      const room = writer.write(CRLF)
      return room === undefined ? writer.finish() : room.then(() => writer.finish())
    },
    discard: () => writer.discard(),
  }
}

/** `before` is the byte in front of `bytes`: CR and LF may come in two pieces. */
function withCarriageReturns(bytes: Buffer, before: number): Buffer {
  const bare: number[] = []
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if ((at === 0 ? before : bytes[at - 1]) !== CR) bare.push(at)
  }
  if (bare.length === 0) return bytes
  const out = Buffer.allocUnsafe(bytes.length + bare.length)
  let from = 0
  let to = 0
  for (const at of bare) {
    to += bytes.copy(out, to, from, at)
    out[to++] = CR
    from = at
  }
  bytes.copy(out, to, from)
  return out
}
