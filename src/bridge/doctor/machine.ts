/**
 * What the doctor asks of the machine: files, users, file systems, the version of Node.
 *
 * Reading only. A question that cannot be answered is `null`, never an exception: a doctor without the right to look says so
 * less, not nothing. Tests give a machine of their own.
 */
import { lstatSync, readFileSync, realpathSync, statfsSync } from 'node:fs'

export interface PathFacts {
  readonly kind: 'directory' | 'socket' | 'link' | 'file'
  readonly uid: number
  readonly gid: number
  /** Permission bits, sticky included. */
  readonly mode: number
}

export interface User {
  readonly name: string
  readonly uid: number
  /** The first one is the user's own. */
  readonly groups: readonly number[]
}

export interface Machine {
  path(path: string): PathFacts | null
  /** Without symbolic links; `null` when it is not there. */
  real(path: string): string | null
  user(name: string): User | null
  /** The name, or the number as text. */
  groupName(gid: number): string
  /** The file system below a folder. */
  fileSystem(path: string): { readonly inMemory: boolean; readonly free: number } | null
  readonly nodeVersion: string
  /** Who runs the doctor; `null` where there are no users. */
  readonly uid: number | null
}

const TMPFS = 0x0102_1994
const RAMFS = 0x8584_58f6

export function thisMachine(): Machine {
  const read = (file: string): string[][] => {
    try {
      return readFileSync(file, 'latin1')
        .split('\n')
        .map(line => line.split(':'))
    } catch {
      // No such table here: no user is known, and the checks on rights have nothing to look at.
      return []
    }
  }
  const users = read('/etc/passwd')
  const groups = read('/etc/group')
  return {
    path: pathFacts,
    real: path => attempt(() => realpathSync(path)),
    user(name) {
      const entry = users.find(([user]) => user === name)
      if (entry === undefined) return null
      const further = groups
        .filter(([, , , members]) => members?.split(',').includes(name))
        .map(group => Number(group[2]))
      return { name, uid: Number(entry[2]), groups: [Number(entry[3]), ...further] }
    },
    groupName: gid => groups.find(group => group[2] === String(gid))?.[0] ?? String(gid),
    fileSystem: path =>
      attempt(() => {
        const { type, bavail, bsize } = statfsSync(path)
        return { inMemory: type === TMPFS || type === RAMFS, free: bavail * bsize }
      }),
    nodeVersion: process.versions.node,
    uid: process.getuid?.() ?? null,
  }
}

function pathFacts(path: string): PathFacts | null {
  return attempt(() => {
    const stats = lstatSync(path)
    const kind = stats.isDirectory()
      ? 'directory'
      : stats.isSocket()
        ? 'socket'
        : stats.isSymbolicLink()
          ? 'link'
          : 'file'
    return { kind, uid: stats.uid, gid: stats.gid, mode: stats.mode & 0o7777 }
  })
}

function attempt<T>(look: () => T): T | null {
  try {
    return look()
  } catch {
    return null
  }
}
