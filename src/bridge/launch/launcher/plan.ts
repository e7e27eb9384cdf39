/**
 * From an entry to the very program and arguments that are executed, and what must be true of the process afterwards.
 *
 * Node can only change user and primary group, and not in a way that fails safe, so util-linux does it in stages that each replace
 * the one before: prlimit (limits), setpriv (groups, user, no new privileges, capabilities), env (folder, clean environment, only
 * after the drop). A stage that fails executes nothing. Users and groups are those of /etc/passwd and /etc/group, read at each start;
 * root and its group are never given. Used by `process.ts` through whoever makes one.
 */
import { readFileSync } from 'node:fs'
import type { CommandEntry } from './entry.ts'
import { LauncherError } from './frame.ts'

type Words = readonly string[]

/** Who a program is to be. */
export interface Identity {
  /** In its environment. */
  readonly account: object
  /** Arguments for setpriv. */
  readonly drop: Words
  /** Lines of /proc/PID/status that show it. */
  readonly proof: Words
}

export interface Plan {
  /** Programs that each execute the next one, with their arguments. */
  readonly stages: readonly Words[]
  /** What the last of them executes. */
  readonly command: Words
  /** What the first of them is given. */
  readonly env: NodeJS.ProcessEnv
  readonly directory: string
  readonly umask: number
  /** What /proc must show when the stages are behind it. */
  readonly proof: Words
}

/** Where the programs of the stages are. */
export type Tools = Readonly<Record<'prlimit' | 'setpriv' | 'env', string>>

/** Where programs are looked for by those that are started. */
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export function findIdentity({ user = '', group, groups }: Pick<CommandEntry, 'user' | 'group' | 'groups'>): Identity {
  const table = (file: string): Words[] => Array.from(readFileSync(file, 'utf8').split('\n'), row => row.split(':'))
  const [users, all] = [table('/etc/passwd'), table('/etc/group')]
  const number = (text: string | undefined, what: string): number => {
    if (!/^\d+$/.test(text ?? '')) throw new LauncherError('LAUNCHER_USER', `there is no ${what}`)
    return Number(text)
  }
  const gidOf = (name: string): number => number(all.find(row => row[0] === name)?.[2], `group ${name}`)
  const [, , uidText, gidText, , home] = users.find(row => row[0] === user) ?? []
  const uid = number(uidText, `user ${user}`)
  const gid = group === undefined ? number(gidText, `group of ${user}`) : gidOf(group)
  const member = all.filter(row => row[3]?.split(',').includes(user)).map(row => row[0]!)
  const others = [...new Set((groups ?? member).map(gidOf))].sort((a, b) => a - b)
  if ([uid, gid, ...others].includes(0))
    throw new LauncherError('LAUNCHER_USER', `${user} would have the rights of root`)
  const further = others.length === 0 ? '--clear-groups' : `--groups=${others.join(',')}`
  const none = ['bounding-set', 'inh-caps', 'ambient-caps'].map(set => `--${set}=-all`)
  const empty = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(set => `${set}:\t0000000000000000`)
  // Real, effective, saved and of the file system.
  const four = (id: number): string => `\t${id}`.repeat(4)
  return {
    account: { HOME: home || '/', USER: user, LOGNAME: user },
    drop: [`--reuid=${uid}`, `--regid=${gid}`, further, ...none, '--no-new-privs'],
    proof: ['NoNewPrivs:\t1', `Uid:${four(uid)}`, `Gid:${four(gid)}`, `Groups:\t${others.join(' ')}`.trim(), ...empty],
  }
}

const assigned = (values: object): Words => Object.entries(values).map(([name, value]) => `${name}=${value}`)

/** For a program that is given what its entry says and nothing else. */
export function planOf(entry: CommandEntry, { account, drop, proof }: Identity, tools: Tools): Plan {
  const { command, directory = '/', umask = '077' } = entry
  // Node raises its own soft limit, and a milter that uses select() dies of more than 1024.
  const limits = assigned({ nofile: '1024:', core: 0, ...entry.limits }).map(limit => `--${limit}`)
  const stages = [
    [tools.prlimit, ...limits],
    [tools.setpriv, ...drop, '--pdeathsig=KILL'],
    [tools.env, '-i', '-C', directory, ...assigned({ PATH, ...account, ...entry.env })],
  ]
  return { stages, command, env: {}, directory: '/', umask: Number.parseInt(umask, 8), proof }
}

/** For milterhost itself, which keeps this environment, folder and umask beside its new rights. */
export function hostPlan(command: Words, { account, drop, proof }: Identity, setpriv: string, env: object): Plan {
  // When the launcher is killed, milterhost still ends the messages that it has begun.
  const stages = [[setpriv, ...drop, '--pdeathsig=TERM']]
  return { stages, command, env: { ...env, ...account }, directory: process.cwd(), umask: process.umask(), proof }
}
