/**
 * A replacement body as an author gives it, written piece by piece into the message's store.
 *
 * Text is UTF-8; line ends become CRLF on the way (`normalizeLines`), so that later filters see what the MTA will.
 */
import { normalizeLines } from '../message/body.ts'
import type { Body, BodyWriter } from '../message/snapshot.ts'
import { type Steps, settled } from './maybe.ts'

/** What `edit.replaceBody` takes. */
export type BodyContent = string | Uint8Array | AsyncIterable<string | Uint8Array>

/** Writes a whole body. Gives up, with the signal's reason, when nobody waits for it any more. */
export function* writeBody(content: BodyContent, target: BodyWriter, signal: AbortSignal): Steps<Body> {
  const writer = normalizeLines(target)
  try {
    if (typeof content === 'string' || content instanceof Uint8Array) {
      yield* settled(writer.write(bytes(content)))
    } else {
      const pieces = content[Symbol.asyncIterator]()
      for (;;) {
        const next = yield* settled(Promise.resolve(pieces.next()))
        if (next.done === true) break
        if (signal.aborted) {
          yield* settled(Promise.resolve(pieces.return?.()))
          throw signal.reason
        }
        yield* settled(writer.write(bytes(next.value)))
      }
    }
    return yield* settled(writer.finish())
  } catch (error) {
    writer.discard()
    throw error
  }
}

function bytes(piece: unknown): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece, 'utf8')
  if (piece instanceof Uint8Array) return piece
  throw new TypeError(`a piece of the new body is ${piece === null ? 'null' : `a ${typeof piece}`}, not text or bytes`)
}
