/**
 * A UNIX socket's place in the file system, for a listener.
 *
 * A socket is bound under a name of its own beside the wanted one, given its group and mode, and only then linked to where
 * MTAs look for it: it never stands there with the wrong rights, and nothing that appeared there meanwhile is
 * overwritten. A socket that is there already is removed only if nobody answers on it. Anything else (a file, a symbolic
 * link, a directory) is left alone, and at the end only our own socket is removed.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, linkSync, lstatSync, readFileSync, type Stats, statSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import { dirname, join } from 'node:path'
import { hostError } from '../../host/errors.ts'
import { codeOf } from './listen-error.ts'

export interface SocketRights {
  /** Permission bits. */
  readonly mode: number
  /** A name or a number; `null` leaves it. */
  readonly group: string | number | null
}

const probeTime = 2_000
const nameBytes = 4

/** Where to bind before `place`. Short: the system takes no more than 107 bytes. */
export const temporaryName = (path: string): string => join(dirname(path), `.${randomBytes(nameBytes).toString('hex')}`)

/** Clears the place of a socket that nobody serves. Throws a coded error if it is taken. */
export async function clearPlace(path: string): Promise<void> {
  // libuv tells a missing directory as a missing permission.
  if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) throw hostError('LISTEN_DIRECTORY', path)
  const found = look(path)
  if (found === null) return
  if (!found.isSocket()) throw hostError('LISTEN_FOREIGN', path, kindOf(found))
  if (await isServed(path)) throw hostError('LISTEN_IN_USE', path)
  const now = look(path)
  if (now !== null && sameFile(now, found)) unlinkSync(path)
}

/** Gives a bound socket its rights and its name; the result removes it, if it is still ours. */
export function place(bound: string, path: string, { mode, group }: SocketRights): () => void {
  try {
    if (group !== null) giveTo(bound, path, group)
    chmodSync(bound, mode)
    linkSync(bound, path)
  } catch (error) {
    const found = codeOf(error) === 'EEXIST' ? look(path) : null
    throw found === null ? error : hostError('LISTEN_FOREIGN', path, kindOf(found))
  } finally {
    unlinkSync(bound)
  }
  const ours = lstatSync(path)
  return () => {
    const now = look(path)
    if (now !== null && sameFile(now, ours)) unlinkSync(path)
  }
}

function giveTo(bound: string, path: string, group: string | number): void {
  const number = typeof group === 'number' ? group : groupNumber(group)
  try {
    if (number === undefined) throw new Error('no such group')
    chownSync(bound, -1, number)
  } catch (error) {
    throw Object.assign(hostError('LISTEN_GROUP', path, String(group)), { cause: error })
  }
}

function groupNumber(name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name)
  for (const line of readFileSync('/etc/group', 'latin1').split('\n')) {
    const [group, , number] = line.split(':')
    if (group === name && number !== undefined && /^\d+$/.test(number)) return Number(number)
  }
  return undefined
}

function look(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null
}

/** A connection that is refused means that no process has it open any more. */
function isServed(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection(path)
    const done = (served: boolean): void => {
      socket.destroy()
      resolve(served)
    }
    socket.setTimeout(probeTime, () => done(true))
    socket.once('connect', () => done(true))
    socket.once('error', error => done(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'))
  })
}

const sameFile = (a: Stats, b: Stats): boolean => a.dev === b.dev && a.ino === b.ino

function kindOf(found: Stats): string {
  if (found.isSymbolicLink()) return 'a symbolic link'
  if (found.isDirectory()) return 'a directory'
  return found.isFile() ? 'a file' : found.isSocket() ? 'a socket' : 'a special file'
}
