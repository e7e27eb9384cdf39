/**
 * The launcher's half of the frames: 64 bytes each way, always, and nothing else; and the errors, whose codes may be words of an answer. The
 * other half is `../launcher-frame.ts`.
 *
 * A request names an operation and an id of the launcher's own file; there is no room in it for a command, a user or a path, and
 * every byte that has no meaning must be zero. Pure: no I/O. `null` from the decoder means that the peer is not one of ours, and there
 * is no going on with it.
 *
 *   request  'M' 'L' version operation number(4) length id(48) zeros
 *   answer   'm' 'l' version result number(4) state flags exit signal pid(4) wait(4) zeros
 */
export const FRAME = { size: 64, version: 1, idAt: 9, longestId: 48, own: 1, ended: 2 } as const

export const OPERATIONS = ['start', 'stop', 'restart', 'status'] as const
export type Operation = (typeof OPERATIONS)[number]
/** What came of a request. What it was about in detail stands in the launcher's log. */
export const RESULTS = ['done', 'unknown-id', 'throttled', 'busy', 'unprepared', 'not-started', 'init-failed'] as const
export type Result = (typeof RESULTS)[number]
export const STATES = ['unknown', 'running', 'stopped', 'failed'] as const
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

/** Codes that end the program, or leave the file as it was read before. They are documented in `docs/errors.md` like those of the host. */
export const LAUNCHER_ERRORS = ['LAUNCHER_USAGE', 'LAUNCHER_FILE', 'LAUNCHER_PROGRAM', 'LAUNCHER_USER'] as const

/** With a `Result` for a code it is what a request comes to; the message is for the log. */
export class LauncherError extends Error {
  readonly code: (typeof LAUNCHER_ERRORS)[number] | Result
  constructor(code: LauncherError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** Before a line that tells of a failure: the priority, by syslog's name, as the journal reads it. */
export const ERR: string = process.env.JOURNAL_STREAM ? '<3>' : ''

export const isId = (value: unknown): value is string =>
  typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$/.test(value)

export function decodeRequest(frame: Buffer): Request | null {
  const operation = OPERATIONS[frame[3]! - 1]
  const end = FRAME.idAt + frame[8]!
  if (frame[0] !== 0x4d || frame[1] !== 0x4c || frame[2] !== FRAME.version || operation === undefined) return null
  if (frame.length !== FRAME.size || end > FRAME.idAt + FRAME.longestId) return null
  for (let at = end; at < FRAME.size; at++) if (frame[at] !== 0) return null
  const id = frame.toString('latin1', FRAME.idAt, end)
  return isId(id) ? { operation, number: frame.readUInt32BE(4), id } : null
}

export function encodeAnswer(answer: Answer): Buffer {
  const frame = Buffer.alloc(FRAME.size)
  frame.write('ml', 'latin1')
  frame.set([FRAME.version, RESULTS.indexOf(answer.result)], 2)
  frame.writeUInt32BE(answer.number, 4)
  const flags = (answer.own ? FRAME.own : 0) | (answer.last === null ? 0 : FRAME.ended)
  frame.set([STATES.indexOf(answer.state), flags, answer.last?.exit ?? 0, answer.last?.signal ?? 0], 8)
  frame.writeUInt32BE(answer.pid ?? 0, 12)
  frame.writeUInt32BE(Math.ceil(answer.wait), 16)
  return frame
}
