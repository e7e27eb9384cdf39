/**
 * The frames between milterhost and the launcher: 64 bytes each way, always, and nothing else.
 *
 * A request names an operation and an id of the launcher's own file; there is no room in it for a command, a user or a path, and
 * every byte that has no meaning must be zero. Pure: no I/O. `null` from a decoder means that the peer is not one of ours, and there
 * is no going on with it. Used by the launcher, by its client in milterhost and by the tests that throw random frames at it.
 *
 *   request  'M' 'L' version operation number(4) length id(48) zeros      answer  'm' 'l' version result number(4) state flags exit signal pid(4) wait(4) zeros
 */
export const FRAME_SIZE = 64
const VERSION = 1
const ID_AT = 9
const LONGEST_ID = 48
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$/

const OPERATIONS = ['start', 'stop', 'restart', 'status'] as const
export type Operation = (typeof OPERATIONS)[number]
/** What came of a request. What it was about in detail stands in the launcher's log. */
const RESULTS = ['done', 'unknown-id', 'throttled', 'busy', 'not-prepared', 'not-started', 'init-failed'] as const
export type Result = (typeof RESULTS)[number]
const STATES = ['unknown', 'running', 'stopped', 'failed'] as const
export type State = (typeof STATES)[number]

export interface Request {
  readonly operation: Operation
  /** Chosen by who asks; stands in the answer. */
  readonly number: number
  readonly id: string
}

export interface Answer {
  readonly number: number
  readonly result: Result
  readonly state: State
  /** The launcher is the parent, so it ends the process when milterhost ends; else the system's init has it. */
  readonly own: boolean
  readonly pid: number | null
  /** How it ended last: exit code and number of a signal; `null` when it never did. */
  readonly last: { readonly exit: number; readonly signal: number } | null
  /** Milliseconds until a start is allowed again. */
  readonly wait: number
}

export const isId = (value: unknown): value is string => typeof value === 'string' && ID.test(value)

export function encodeRequest({ operation, number, id }: Request): Buffer {
  const frame = Buffer.alloc(FRAME_SIZE)
  frame.write('ML', 'latin1')
  frame[2] = VERSION
  frame[3] = OPERATIONS.indexOf(operation) + 1
  frame.writeUInt32BE(number, 4)
  frame[8] = id.length
  frame.write(id, ID_AT, LONGEST_ID, 'latin1')
  return frame
}

export function decodeRequest(frame: Buffer): Request | null {
  const operation = OPERATIONS[frame[3]! - 1]
  const length = frame[8]!
  if (frame[0] !== 0x4d || frame[1] !== 0x4c || frame[2] !== VERSION || operation === undefined) return null
  if (frame.length !== FRAME_SIZE || length > LONGEST_ID) return null
  for (let at = ID_AT + length; at < FRAME_SIZE; at++) if (frame[at] !== 0) return null
  const id = frame.toString('latin1', ID_AT, ID_AT + length)
  return ID.test(id) ? { operation, number: frame.readUInt32BE(4), id } : null
}

export function encodeAnswer(answer: Answer): Buffer {
  const frame = Buffer.alloc(FRAME_SIZE)
  frame.write('ml', 'latin1')
  frame.set([VERSION, RESULTS.indexOf(answer.result)], 2)
  frame.writeUInt32BE(answer.number, 4)
  const flags = (answer.own ? 1 : 0) | (answer.last === null ? 0 : 2)
  frame.set([STATES.indexOf(answer.state), flags, answer.last?.exit ?? 0, answer.last?.signal ?? 0], 8)
  frame.writeUInt32BE(answer.pid ?? 0, 12)
  frame.writeUInt32BE(Math.ceil(answer.wait), 16)
  return frame
}

export function decodeAnswer(frame: Buffer): Answer | null {
  const result = RESULTS[frame[3]!]
  const state = STATES[frame[8]!]
  if (frame.toString('latin1', 0, 2) !== 'ml' || frame[2] !== VERSION || result === undefined || state === undefined)
    return null
  return {
    number: frame.readUInt32BE(4),
    result,
    state,
    own: (frame[9]! & 1) !== 0,
    pid: frame.readUInt32BE(12) || null,
    last: (frame[9]! & 2) === 0 ? null : { exit: frame[10]!, signal: frame[11]! },
    wait: frame.readUInt32BE(16),
  }
}

/** Cuts what arrives into frames, however it was split on the way. Holds less than one frame. */
export class FrameCutter {
  #rest: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const whole = bytes.length - (bytes.length % FRAME_SIZE)
    this.#rest = Buffer.from(bytes.subarray(whole))
    return Array.from({ length: whole / FRAME_SIZE }, (_, i) => bytes.subarray(i * FRAME_SIZE, (i + 1) * FRAME_SIZE))
  }
}
