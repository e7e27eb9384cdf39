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
import { isId, LauncherError } from './frame.ts'

const LARGEST = 64 * 1024

type Refuse = (what: string) => never

function refusing(code: LauncherError['code'], path: string): Refuse {
  return what => {
    throw new LauncherError(code, `${path} is not used: ${what}`)
  }
}

/** The path, when only root can have written what is there. */
export function trusted(path: string, refuse: Refuse = refusing('LAUNCHER_PROGRAM', path)): string {
  if (!/^(\/[^/]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path)) refuse('it is not a plain absolute path')
  for (let at = path; ; at = dirname(at)) {
    const stat = lstatSync(at, { throwIfNoEntry: false }) ?? refuse(`${at} does not exist`)
    if (stat.isSymbolicLink()) refuse(`${at} is a symbolic link`)
    if (at === path ? !stat.isFile() : !stat.isDirectory()) refuse(`${at} is not a ${at === path ? 'file' : 'folder'}`)
    if (stat.uid !== 0) refuse(`${at} belongs to user ${stat.uid}, not to root`)
    if ((stat.mode & 0o022) !== 0) refuse(`${at} may be written by others (mode ${(stat.mode & 0o7777).toString(8)})`)
    if (at === '/') return path
  }
}

/** By id. A command has to name its user: here nobody runs as the one who asks. */
export function readEntries(path: string): ReadonlyMap<string, Entry> {
  const refuse = refusing('LAUNCHER_FILE', path)
  if (lstatSync(trusted(path, refuse)).size > LARGEST) refuse(`it has more than ${LARGEST} bytes`)
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    refuse((error as Error).message)
  }
  const given = isObject(parsed) ? Object.entries(parsed) : refuse('it must hold an object from ids to entries')
  const problems = given.flatMap(([id, entry]) => {
    const found = isId(id) ? entryProblems(entry) : ['is no id: letters, digits, _ . - and at most 48 of them']
    if (found.length === 0 && 'command' in (entry as Entry) && !('user' in (entry as Entry))) found.push('needs a user')
    return found.map(problem => `${JSON.stringify(id)}: ${problem}`)
  })
  if (problems.length > 0) refuse(problems.join('; '))
  return new Map(given as [string, Entry][])
}
