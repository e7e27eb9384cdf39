/**
 * milterhost's half of the frames between it and the launcher: requests out, answers in. Layout and words stand in `launcher/frame.ts`.
 *
 * Pure: no I/O. Apart from the launcher's half so that the program that runs as root holds nothing that it does not use. Used by the client.
 */
import { type Answer, FRAME, OPERATIONS, RESULTS, type Request, STATES } from './launcher/frame.ts'

export function encodeRequest({ operation, number, id }: Request): Buffer {
  const frame = Buffer.alloc(FRAME.size)
  frame.write('ML', 'latin1')
  frame.set([FRAME.version, OPERATIONS.indexOf(operation) + 1], 2)
  frame.writeUInt32BE(number, 4)
  frame[8] = id.length
  frame.write(id, FRAME.idAt, FRAME.longestId, 'latin1')
  return frame
}

/** `null` when it is not an answer of the launcher. */
export function decodeAnswer(frame: Buffer): Answer | null {
  const result = RESULTS[frame[3]!]
  const state = STATES[frame[8]!]
  const known = frame.length === FRAME.size && frame.toString('latin1', 0, 2) === 'ml' && frame[2] === FRAME.version
  if (!known || result === undefined || state === undefined) return null
  return {
    number: frame.readUInt32BE(4),
    result,
    state,
    own: (frame[9]! & FRAME.own) !== 0,
    pid: frame.readUInt32BE(12) || null,
    last: (frame[9]! & FRAME.ended) === 0 ? null : { exit: frame[10]!, signal: frame[11]! },
    wait: frame.readUInt32BE(16),
  }
}
