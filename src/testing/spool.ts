/**
 * A spool that keeps every body in memory: a test leaves no files.
 */
import { hostError } from '../host/errors.ts'
import { memoryBody } from '../host/message/body.ts'
import type { BodyWriter } from '../host/message/snapshot.ts'
import type { Spool } from '../host/message/spool.ts'

/** `limit`: the most bytes of one body. */
export const memorySpool = (limit: number): Spool => ({
  message: () => ({ writer: () => memoryWriter(limit), dispose: () => {} }),
  close: async () => {},
})

function memoryWriter(limit: number): BodyWriter {
  let pieces: Buffer[] = []
  let size = 0
  return {
    write(chunk) {
      size += chunk.length
      if (size > limit) throw hostError('LIMIT_BODY', limit)
      if (chunk.length > 0) pieces.push(Buffer.from(chunk))
    },
    finish: () => memoryBody(pieces),
    discard() {
      pieces = []
    },
  }
}
