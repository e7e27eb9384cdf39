/**
 * The plan for a command that milterhost runs itself, as the user that it is.
 *
 * With util-linux in the same stages as for another user, but that nothing is dropped; without it (FreeBSD) the program is executed at
 * once, and what only the stages can do is refused. Used by `command.ts`.
 */
import type { CommandEntry } from './launcher/entry.ts'
import { LauncherError } from './launcher/frame.ts'
import { PATH, type Plan, planOf, type Tools } from './launcher/plan.ts'

const OURSELVES = { account: {}, drop: ['--no-new-privs'], proof: ['NoNewPrivs:\t1'] }

/** Throws when the entry needs what is not here. */
export function planOfOwn(entry: CommandEntry, drop: boolean, tools: Tools | null): Plan {
  if (tools !== null) return planOf(entry, OURSELVES, tools)
  if (drop) throw new LauncherError('unprepared', 'another user needs setpriv of util-linux, which is not here')
  if (entry.limits !== undefined)
    throw new LauncherError('unprepared', 'limits need prlimit of util-linux, which is not here')
  const { command, directory = '/', umask = '077', env } = entry
  return { stages: [], command, env: { PATH, ...env }, directory, umask: Number.parseInt(umask, 8), proof: [] }
}
