/**
 * The connection to the launcher: frames out, answers in, one socket for the whole process.
 *
 * The socket was inherited, so whoever is at its other end is the launcher that started us; there is nothing to find or to prove. When it
 * closes, every request fails from then on: the launcher is not connected to again, it ends us when it ends. Requests may
 * overlap; answers find theirs by number. Made once, by the daemon's start; used by the controls of all filters.
 */
import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { hostError } from '../../host/errors.ts'
import { type Answer, FRAME, type Operation } from './launcher/frame.ts'
import { decodeAnswer, encodeRequest } from './launcher-frame.ts'
import { abortText } from './run.ts'

/** Set by the launcher for the milterhost that it starts. */
const VARIABLE = 'MILTERHOST_LAUNCHER_FD'

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
}

export class LauncherClient {
  readonly #socket: Duplex
  readonly #waiting = new Map<number, Waiting>()
  #number = 0
  #gone = false

  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('readable', () => {
      for (let frame = this.#next(); frame !== null; frame = this.#next()) this.#take(frame)
    })
    socket.on('error', () => this.close())
    socket.on('close', () => this.close())
  }

  /** Rejects when the launcher is gone, or with what the signal was aborted for; the launcher then goes on with it unheard. */
  request(operation: Operation, id: string, signal: AbortSignal): Promise<Answer> {
    const number = this.#number
    this.#number = (number + 1) >>> 0
    return new Promise((resolve, reject) => {
      if (this.#gone) return reject(hostError('LAUNCHER_GONE'))
      if (signal.aborted) return reject(new Error(abortText(signal)))
      const aborted = (): void => {
        this.#waiting.delete(number)
        reject(new Error(abortText(signal)))
      }
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          signal.removeEventListener('abort', aborted)
          settle(value)
        }
      signal.addEventListener('abort', aborted, { once: true })
      this.#waiting.set(number, { resolve: settled(resolve), reject: settled(reject) })
      this.#socket.write(encodeRequest({ operation, number, id }))
    })
  }

  close(): void {
    this.#gone = true
    this.#socket.destroy()
    for (const { reject } of this.#waiting.values()) reject(hostError('LAUNCHER_GONE'))
    this.#waiting.clear()
  }

  #next(): Buffer | null {
    return this.#socket.read(FRAME.size) as Buffer | null
  }

  #take(frame: Buffer): void {
    const answer = decodeAnswer(frame)
    if (answer === null) {
      this.close()
      return
    }
    this.#waiting.get(answer.number)?.resolve(answer)
    this.#waiting.delete(answer.number)
  }
}

/** `null` where milterhost was not started by the launcher. Never keeps the process alive. Throws when the variable names no socket. */
export function inheritedLauncher(env: NodeJS.ProcessEnv): LauncherClient | null {
  const given = env[VARIABLE]
  if (given === undefined) return null
  const fd = /^\d{1,4}$/.test(given) ? Number(given) : -1
  try {
    if (fd < 3 || !fstatSync(fd).isSocket()) throw new Error('it is not a socket')
  } catch (error) {
    throw hostError('LAUNCHER_SOCKET', `${VARIABLE}=${given}`, (error as Error).message)
  }
  const socket = new Socket({ fd, readable: true, writable: true })
  socket.unref()
  return new LauncherClient(socket)
}
