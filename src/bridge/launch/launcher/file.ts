/**
 * The file of what may be started: who may have written it, and what it says.
 *
 * A JSON object from id to entry. It is believed only when root alone can have written it: it and every folder on the way belong
 * to root, may not be written by group or others, and none is a symbolic link. The same is asked of the programs that run as root.
 * Read at the launcher's start and at its SIGHUP; anything wrong throws and nothing of it is used.
 */
import { lstatSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Entry, entryProblems, isObject } from './entry.ts'
import { LauncherError } from './error.ts'
import { isId } from './frame.ts'

const LARGEST = 64 * 1024
const MOST = 64

/** What keeps root from believing it, or `null`. */
function distrust(path: string): string | null {
  if (!/^(\/[^/]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path)) return 'it is not a plain absolute path'
  for (let at = path; ; at = dirname(at)) {
    const stat = lstatSync(at, { throwIfNoEntry: false })
    if (stat === undefined) return `${at} does not exist`
    if (stat.isSymbolicLink()) return `${at} is a symbolic link`
    if (at === path ? !stat.isFile() : !stat.isDirectory()) return `${at} is not a ${at === path ? 'file' : 'folder'}`
    if (stat.uid !== 0) return `${at} belongs to user ${stat.uid}, not to root`
    if ((stat.mode & 0o022) !== 0) return `${at} may be written by others (mode ${(stat.mode & 0o7777).toString(8)})`
    if (at === '/') return null
  }
}

export function trustedProgram(path: string): string {
  const wrong = distrust(path)
  if (wrong !== null) throw new LauncherError('LAUNCHER_PROGRAM', `${path} is not run as root: ${wrong}`)
  return path
}

/** By id. A command has to name its user: here nobody runs as the one who asks. */
export function readEntries(path: string): ReadonlyMap<string, Entry> {
  const refuse = (what: string): never => {
    throw new LauncherError('LAUNCHER_FILE', `${path} is not used: ${what}`)
  }
  const wrong = distrust(path)
  if (wrong !== null) refuse(wrong)
  if (lstatSync(path).size > LARGEST) refuse(`it has more than ${LARGEST} bytes`)
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
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
