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
import { LauncherError } from './error.ts'

export interface Identity {
  readonly account: { readonly HOME: string; readonly USER: string; readonly LOGNAME: string }
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
  /** Lines that /proc must show of it then. */
  readonly proof: readonly string[]
}

/** Where the stages are; `null` where a system has none of it, and then the stage is left out, except for another user. */
export interface Tools {
  readonly prlimit: string | null
  readonly setpriv: string | null
  readonly env: string
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const CAPABILITIES = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']

type Words = readonly string[]

export function findIdentity(entry: Pick<CommandEntry, 'user' | 'group' | 'groups'>): Identity {
  const { user = '', group } = entry
  const fail = (what: string): never => {
    throw new LauncherError('LAUNCHER_USER', what)
  }
  const [users, groups] = ['/etc/passwd', '/etc/group'].map(file => readFileSync(file, 'utf8').split('\n'))
  const field = (rows: Words | undefined, name: string, at: number): string =>
    rows?.find(row => row.startsWith(`${name}:`))?.split(':')[at] ?? ''
  const number = (text: string, what: string): number =>
    /^\d+$/.test(text) ? Number(text) : fail(`there is no ${what}`)
  const gidOf = (name: string): number => number(field(groups, name, 2), `group ${name}`)
  const uid = number(field(users, user, 2), `user ${user}`)
  const gid = group === undefined ? number(field(users, user, 3), `group of ${user}`) : gidOf(group)
  const member = groups!.map(row => row.split(':')).filter(row => row[3]?.split(',').includes(user))
  const others = (entry.groups ?? member.map(([name]) => name!)).map(gidOf)
  if ([uid, gid, ...others].includes(0)) fail(`${user} would have the rights of root`)
  const account = { HOME: field(users, user, 5) || '/', USER: user, LOGNAME: user }
  return { account, uid, gid, groups: [...new Set(others)].sort((a, b) => a - b) }
}

const assigned = (values: object): Words => Object.entries(values).map(([name, value]) => `${name}=${value}`)

/** For a program that is given what its entry says and nothing else. */
export function planOf(entry: CommandEntry, identity: Identity | null, tools: Tools): Plan {
  // Node raises its own soft limit, and a milter that uses select() dies of more than 1024.
  const limits = assigned({ nofile: '1024:', core: 0, ...entry.limits }).map(limit => `--${limit}`)
  const variables = assigned({ PATH, ...identity?.account, ...entry.env })
  const stages = [
    [tools.prlimit, ...limits],
    [tools.setpriv, ...dropOf(identity, 'KILL')],
    [tools.env, '-i', '-C', entry.directory ?? '/', ...variables],
  ]
  const umask = Number.parseInt(entry.umask ?? '077', 8)
  return { ...staged(stages, entry.command, identity), env: {}, umask }
}

/** For milterhost itself, which keeps this environment and umask beside its new rights. */
export function hostPlan(command: Words, identity: Identity, setpriv: string, env: NodeJS.ProcessEnv): Plan {
  // When the launcher is killed, milterhost still ends the messages that it has begun.
  const stage = [setpriv, ...dropOf(identity, 'TERM')]
  return { ...staged([stage], command, identity), env: { ...env, ...identity.account }, umask: process.umask() }
}

function dropOf(identity: Identity | null, atDeath: string): Words {
  const always = ['--no-new-privs', `--pdeathsig=${atDeath}`]
  if (identity === null) return always
  const { uid, gid, groups } = identity
  const others = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`
  const capabilities = ['bounding-set', 'inh-caps', 'ambient-caps'].map(set => `--${set}=-all`)
  return [`--reuid=${uid}`, `--regid=${gid}`, others, ...capabilities, ...always]
}

function staged(all: readonly (readonly (string | null)[])[], command: Words, identity: Identity | null) {
  const stages = all.filter((stage): stage is Words => stage[0] !== null)
  const [program = '', ...args] = [...stages.flat(), ...command]
  const names = stages.map(([stage]) => basename(stage!).slice(0, 15))
  const proof = names.includes('setpriv') ? ['NoNewPrivs:\t1'] : []
  if (identity !== null) {
    const { uid, gid, groups } = identity
    if (proof.length === 0) throw new LauncherError('LAUNCHER_USER', 'another user needs setpriv, which is not here')
    proof.push(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`, `Gid:\t${gid}\t${gid}\t${gid}\t${gid}`)
    proof.push(`Groups:\t${groups.join(' ')}`.trim(), ...CAPABILITIES.map(set => `${set}:\t0000000000000000`))
  }
  return { program, args, stages: names, proof }
}
