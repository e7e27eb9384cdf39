/**
 * What may be started: an entry of the launcher's file, and the same words as the `launch` option of a socket.
 *
 * Only what can be checked by looking at the entry itself; whether user, folder and program exist is seen when it is started.
 * Used by `file.ts` of the launcher and by `options.ts` of milterhost, so that both refuse the same.
 */

/** A program that the launcher, or milterhost itself, runs and ends. It must stay in the foreground. */
export interface CommandEntry {
  /** Absolute path of the program, then its arguments. No shell reads it. */
  readonly command: readonly string[]
  /** Name in /etc/passwd. Without one it runs as the user that runs milterhost; the launcher's file has to say one, never root. */
  readonly user?: string
  /** Name in /etc/group. @default the user's own */
  readonly group?: string
  /** Supplementary groups, and no others. @default those that /etc/group has the user in */
  readonly groups?: readonly string[]
  /** Beside PATH, HOME, USER and LOGNAME. Other users can see it for a moment, so it is no place for secrets. */
  readonly env?: Readonly<Record<string, string>>
  /** Working directory. @default '/' */
  readonly directory?: string
  /** Limits as prlimit(1) calls them, soft and hard at once. @default soft 1024 open files, no core file */
  readonly limits?: Readonly<Record<string, number | 'unlimited'>>
  /** Permissions that new files do not get, octal. @default '077' */
  readonly umask?: string
}

export type Entry = CommandEntry | { readonly systemd: string } | { readonly service: string }

const LIMITS = ['as', 'core', 'cpu', 'data', 'fsize', 'memlock', 'nofile', 'nproc', 'stack']
const text = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0')
const fits =
  (pattern: RegExp) =>
  (value: unknown): boolean =>
    text(value) && pattern.test(value)
const list = (value: unknown, test: (one: unknown) => boolean): boolean => Array.isArray(value) && value.every(test)
const table = (value: unknown, test: (key: string, one: unknown) => boolean): boolean =>
  isObject(value) && Object.entries(value).every(([key, one]) => test(key, one))
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isPath = fits(/^\/[^\n]*$/)
const isAccount = fits(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/)
const isLimit = (value: unknown): boolean =>
  value === 'unlimited' || (Number.isSafeInteger(value) && (value as number) >= 0)
// env(1) would take a program with a = in it for a variable.
const isCommand = (value: unknown): boolean =>
  list(value, text) && isPath((value as string[])[0]) && !(value as string[])[0]!.includes('=')

const RULES: Readonly<Record<string, readonly [(value: unknown) => boolean, string]>> = {
  command: [isCommand, 'a list: the absolute path of a program, then its arguments'],
  systemd: [fits(/^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,200}\.(service|socket)$/), 'a unit such as "opendkim.service"'],
  service: [fits(/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$/), 'the name of an init script such as "opendkim"'],
  user: [isAccount, 'the name of a user'],
  group: [isAccount, 'the name of a group'],
  groups: [value => list(value, isAccount), 'a list of names of groups'],
  env: [value => table(value, (key, one) => /^[A-Za-z_]\w*$/.test(key) && text(one)), 'an object of names and texts'],
  directory: [isPath, 'an absolute path'],
  limits: [
    value => table(value, (key, one) => LIMITS.includes(key) && isLimit(one)),
    `an object of ${LIMITS.join(', ')} with whole numbers or "unlimited"`,
  ],
  umask: [fits(/^0?[0-7]{3}$/), 'an octal number such as "007"'],
}

const KINDS = ['command', 'systemd', 'service']
const FOR_COMMANDS = Object.keys(RULES).filter(key => !KINDS.includes(key))

/** All that is wrong with it, each as the end of a sentence that begins with where it stands. */
export function entryProblems(value: unknown): string[] {
  const kinds = isObject(value) ? KINDS.filter(kind => kind in value) : []
  if (!isObject(value) || kinds.length !== 1) return [`must be an object with one of ${KINDS.join(', ')}`]
  const known = [kinds[0]!, ...(kinds[0] === 'command' ? FOR_COMMANDS : [])]
  return Object.entries(value).flatMap(([key, one]) => {
    if (!known.includes(key)) return [`${key} is not known here; known are ${known.join(', ')}`]
    const [test, what] = RULES[key]!
    return one === undefined || test(one) ? [] : [`${key} must be ${what}`]
  })
}
