/**
 * One request to a running daemon, for the commands: connects, asks, and gives back the result or throws the daemon's error.
 */
import { createConnection, type Socket } from 'node:net'
import { type ErrorCode, HostError, hostError } from '../../host/errors.ts'
import { type ControlRequest, type ControlResults, requestLine } from './protocol.ts'

/** A reload may execute a configuration for a minute, and set up its plugins. */
const PATIENCE = 180_000

export interface Answered<R> {
  readonly result: R
  /** Resolves when the daemon has closed the connection. */
  readonly ended: Promise<void>
  close(): void
}

/** Whether somebody may be there: false when the socket is missing or nobody has it open. */
export const isNobody = (error: unknown): boolean =>
  error instanceof HostError && error.code === 'CONTROL_UNREACHABLE' && /ENOENT|ECONNREFUSED/.test(error.message)

/** Throws the daemon's own coded error, or `CONTROL_UNREACHABLE`. */
export async function askControl<R extends ControlRequest>(
  path: string,
  request: R,
): Promise<Answered<ControlResults[R['do']]>> {
  const socket = createConnection(path)
  const ended = new Promise<void>(resolve => socket.once('close', () => resolve()))
  try {
    const answer = readAnswer(path, await lineFrom(path, socket, requestLine(request)))
    return { result: answer as ControlResults[R['do']], ended, close: () => socket.destroy() }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function lineFrom(path: string, socket: Socket, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => reject(hostError('CONTROL_UNREACHABLE', path, what))
    const chunks: Buffer[] = []
    socket.setTimeout(PATIENCE, () => fail(`no answer within ${PATIENCE / 1000} s`))
    socket.once('connect', () => socket.write(request))
    socket.on('data', chunk => {
      chunks.push(chunk)
      if (!chunk.includes('\n')) return
      socket.setTimeout(0)
      const text = Buffer.concat(chunks).toString('utf8')
      resolve(text.slice(0, text.indexOf('\n')))
    })
    socket.on('error', error => fail(error.message))
    socket.once('close', () => fail('it ended without an answer'))
  })
}

function readAnswer(path: string, line: string): unknown {
  let answer: { readonly result?: unknown; readonly error?: { readonly code: string; readonly message: string } }
  try {
    answer = JSON.parse(line)
  } catch {
    throw hostError('CONTROL_UNREACHABLE', path, 'what answers there does not speak its language')
  }
  if (answer.error !== undefined) throw new HostError(answer.error.code as ErrorCode, answer.error.message)
  return answer.result
}
