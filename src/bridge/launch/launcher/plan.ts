/**
 * From an entry to the very program and arguments that are executed, and what must be true of the process afterwards.
 *
 * Node can only change user and primary group, and not in a way that fails safe, so util-linux does it in stages that each replace
 * the one before: prlimit (limits), setpriv (groups, user, no new privileges, capabilities), env (folder, clean environment, only
 * after the drop). A stage that fails executes nothing. Users and groups are those of /etc/passwd and /etc/group, read at each start;
 * root and its group are never given. Used by `process.ts` through whoever makes one.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { CommandEntry } from './entry.ts'

export interface Identity {
  readonly user: string
  readonly home: string
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

export interface Plan {
  readonly program: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly umask: number
  /** Names under which /proc shows the stages, while the program itself is not there yet. */
  readonly stages: readonly string[]
  /** What the process must have become; `null` where it stays the user that it is. */
  readonly identity: Identity | null
}

/** Where the stages are; `null` where a system has none of it, and then what it does cannot be asked for. */
export interface Tools {
  readonly prlimit: string | null
  readonly setpriv: string | null
  readonly env: string
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export function findIdentity(entry: Pick<CommandEntry, 'user' | 'group' | 'groups'>, etc = '/etc'): Identity {
  const rows = (name: string): string[][] =>
    readFileSync(`${etc}/${name}`, 'utf8')
      .split('\n')
      .map(line => line.split(':'))
  const group = rows('group')
  const number = (name: string): number => {
    const gid = Number(group.find(row => row[0] === name)?.[2] || Number.NaN)
    if (Number.isInteger(gid)) return gid
    throw new Error(`there is no group ${name}`)
  }
  const [user = '', , uid, primary, , home = '/'] = rows('passwd').find(row => row[0] === entry.user) ?? []
  if (user === '' || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(primary ?? ''))
    throw new Error(`there is no user ${entry.user}`)
  const gid = entry.group === undefined ? Number(primary) : number(entry.group)
  const groups =
    entry.groups?.map(number) ?? group.filter(row => row[3]?.split(',').includes(user)).map(row => Number(row[2]))
  if (Number(uid) === 0 || gid === 0 || groups.includes(0)) throw new Error(`${user} would have the rights of root`)
  return { user, home, uid: Number(uid), gid, groups: [...new Set(groups)] }
}

/** For a program that is given what its entry says and nothing else. */
export function planOf(entry: CommandEntry, identity: Identity | null, tools: Tools): Plan {
  const stages: (readonly [string, ...string[]])[] = []
  // Node raises its own soft limit, and a milter that uses select() dies of more than 1024.
  const limits = Object.entries({ nofile: '1024:', core: 0, ...entry.limits })
  if (tools.prlimit !== null) stages.push([tools.prlimit, ...limits.map(([name, value]) => `--${name}=${value}`)])
  else if (entry.limits !== undefined) throw new Error('limits need prlimit of util-linux, which is not here')
  if (tools.setpriv !== null) stages.push([tools.setpriv, ...dropOf(identity, 'KILL')])
  else if (identity !== null) throw new Error('another user needs setpriv of util-linux, which is not here')
  const variables = Object.entries({ PATH, ...accountOf(identity), ...entry.env })
  const folder = entry.directory ?? '/'
  stages.push([tools.env, '-i', '-C', folder, ...variables.map(([name, value]) => `${name}=${value}`)])
  return staged(stages, entry.command, identity, {}, Number.parseInt(entry.umask ?? '077', 8))
}

/** For milterhost itself, which keeps what the launcher was given beside root's rights. */
export function hostPlan(
  command: readonly string[],
  identity: Identity,
  setpriv: string,
  env: NodeJS.ProcessEnv,
): Plan {
  // When the launcher is killed, milterhost still ends the messages that it has begun.
  const stage = [setpriv, ...dropOf(identity, 'TERM')] as const
  return staged([stage], command, identity, { ...env, ...accountOf(identity) }, process.umask())
}

function dropOf(identity: Identity | null, atDeath: string): readonly string[] {
  const always = ['--no-new-privs', `--pdeathsig=${atDeath}`]
  if (identity === null) return always
  const { uid, gid, groups } = identity
  const others = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`
  const capabilities = ['--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all']
  return [`--reuid=${uid}`, `--regid=${gid}`, others, ...capabilities, ...always]
}

const accountOf = (identity: Identity | null): Readonly<Record<string, string>> =>
  identity === null ? {} : { HOME: identity.home, USER: identity.user, LOGNAME: identity.user }

function staged(
  stages: readonly (readonly [string, ...string[]])[],
  command: readonly string[],
  identity: Identity | null,
  env: NodeJS.ProcessEnv,
  umask: number,
): Plan {
  const [program, ...args] = [...stages.flat(), ...command]
  return {
    program: program!,
    args,
    env,
    umask,
    stages: stages.map(([stage]) => basename(stage).slice(0, 15)),
    identity,
  }
}
