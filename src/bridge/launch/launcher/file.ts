/**
 * The file of what may be started: who may have written it, and what it says.
 *
 * A JSON object from id to entry. It is believed only when root alone can have written it: it and every folder on the way belong
 * to root, may not be written by group or others, and none is a symbolic link. The same is asked of the programs that run as root.
 * Read at the launcher's start and at its SIGHUP; anything wrong throws and nothing of it is used.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { type Entry, entryProblems, isObject } from './entry.ts'
import { LauncherError, launcherErrors } from './error.ts'
import { isId } from './frame.ts'

const LARGEST = 64 * 1024
const MOST = 64

/** What keeps root from believing it, or `null`. */
export function distrust(path: string): string | null {
  if (!/^(\/[^/]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path)) return 'it is not a plain absolute path'
  for (let at = path; ; at = dirname(at)) {
    const stat = lstatSync(at, { throwIfNoEntry: false })
    if (stat === undefined) return `${at} does not exist`
    const wrong = objection(stat)
    if (wrong !== null) return `${at} ${wrong}`
    if (at !== path && !stat.isDirectory()) return `${at} is not a folder`
    if (at === '/') return null
  }
}

function objection(stat: Stats): string | null {
  if (stat.isSymbolicLink()) return 'is a symbolic link'
  if (stat.uid !== 0) return `belongs to user ${stat.uid}, not to root`
  return (stat.mode & 0o022) === 0
    ? null
    : `may be written by others than root (mode ${(stat.mode & 0o7777).toString(8)})`
}

export function trustedProgram(path: string): string {
  const wrong = distrust(path)
  if (wrong !== null) throw new LauncherError('LAUNCHER_PROGRAM', launcherErrors.LAUNCHER_PROGRAM(path, wrong))
  return path
}

/** By id. A command has to name its user: here nobody runs as the one who asks. */
export function readEntries(path: string): ReadonlyMap<string, Entry> {
  const refuse = (what: string): never => {
    throw new LauncherError('LAUNCHER_FILE', launcherErrors.LAUNCHER_FILE(path, what))
  }
  const wrong = distrust(path)
  if (wrong !== null) refuse(wrong)
  let parsed: unknown
  try {
    parsed = JSON.parse(readRegular(path))
  } catch (error) {
    refuse((error as Error).message)
  }
  const given = isObject(parsed) ? Object.entries(parsed) : refuse('it must hold an object from ids to entries')
  if (given.length > MOST) refuse(`it has ${given.length} entries; ${MOST} is the most`)
  const problems = given.flatMap(([id, entry]) => {
    const found = isId(id) ? entryProblems(entry) : ['is no id: letters, digits, _ . - and at most 48 of them']
    if (found.length === 0 && 'command' in (entry as Entry) && !('user' in (entry as Entry))) found.push('needs a user')
    return found.map(problem => `${JSON.stringify(id)}: ${problem}`)
  })
  if (problems.length > 0) refuse(problems.join('; '))
  return new Map(given as [string, Entry][])
}

/** What is read is what was looked at. */
function readRegular(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(fd)
    const wrong = stat.isFile() ? objection(stat) : 'is no file'
    if (wrong !== null) throw new Error(`it ${wrong}`)
    if (stat.size > LARGEST) throw new Error(`it has ${stat.size} bytes; ${LARGEST} is the most`)
    return readFileSync(fd, 'utf8')
  } finally {
    closeSync(fd)
  }
}
