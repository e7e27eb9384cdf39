/**
 * A Postfix as it is configured: parameters of main.cf, services of master.cf, read through its own `postconf`.
 *
 * `postconf` expands `$name` and fills in defaults, so that nothing of Postfix's syntax is guessed here; the files themselves are
 * read only to tell the line at which something is set. Throws a coded error when `postconf` cannot read them.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostError } from '../../host/errors.ts'

/** One line of master.cf. */
export interface PostfixService {
  /** `smtp inet`, `127.0.0.1:10026 inet`. */
  readonly name: string
  readonly command: string
  readonly chroot: boolean
  /** Runs as `mail_owner`, not as root. */
  readonly unprivileged: boolean
  /** `null` takes `default_process_limit`; 0 is no limit. */
  readonly processes: number | null
  readonly where: string
  /** Parameters set with `-o`, expanded. */
  readonly overrides: ReadonlyMap<string, string>
}

export interface PostfixConfig {
  readonly directory: string
  readonly version: readonly [major: number, minor: number]
  readonly versionText: string
  readonly services: readonly PostfixService[]
  /** The value, expanded; the default when it is not set. */
  value(name: string): string
  /** As set in main.cf, not expanded; `null` when it is not set. */
  raw(name: string): string | null
  /** Where it is set, or that it is not. */
  where(name: string): string
}

const LIMIT = 10_000

/** `directory` holds main.cf and master.cf. */
export async function readPostfixConfig(directory: string, command = 'postconf'): Promise<PostfixConfig> {
  const ask = (...args: string[]): Promise<string[]> => postconf(command, directory, args)
  const [all, own, services, overrides] = await Promise.all([ask('-x'), ask('-n'), ask('-M'), ask('-P', '-x')])
  const values = new Map(all.map(line => pair(line)))
  const set = new Map(own.map(line => pair(line)))
  const mainCf = linesOf(join(directory, 'main.cf'))
  const masterCf = linesOf(join(directory, 'master.cf'))
  const value = (name: string): string => values.get(name) ?? ''
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(value('mail_version')) ?? []
  const chrootByDefault = Number.parseFloat(value('compatibility_level')) < 1
  return {
    directory,
    version: [Number(major), Number(minor)],
    versionText: value('mail_version'),
    services: services
      .filter(line => line !== '')
      .map(line => service(line, overrides, masterCf, directory, chrootByDefault)),
    value,
    raw: name => set.get(name) ?? null,
    where(name) {
      // Of several, Postfix takes the last.
      const line = mainCf.findLastIndex(text => text.startsWith(name) && /^\s*=/.test(text.slice(name.length)))
      const file = join(directory, 'main.cf')
      return line < 0 ? `${file} (${name} is not set)` : `${file}:${line + 1}`
    },
  }
}

function service(
  line: string,
  overrides: readonly string[],
  masterCf: readonly string[],
  directory: string,
  chrootByDefault: boolean,
): PostfixService {
  const [name = '', type = '', , unprivileged = '', chroot = '', , processes = '', command = ''] = line.split(/\s+/)
  const prefix = `${name}/${type}/`
  const own = overrides.filter(text => text.startsWith(prefix)).map(text => pair(text.slice(prefix.length)))
  const at = masterCf.findIndex(text => {
    const [first, second] = text.split(/\s+/)
    return first === name && second === type
  })
  return {
    name: `${name} ${type}`,
    command,
    chroot: chroot === '-' ? chrootByDefault : chroot === 'y',
    unprivileged: unprivileged !== 'n',
    processes: processes === '-' ? null : Number.parseInt(processes, 10),
    where: `${join(directory, 'master.cf')}${at < 0 ? '' : `:${at + 1}`}`,
    overrides: new Map(own),
  }
}

function pair(line: string): [name: string, value: string] {
  const at = line.indexOf('=')
  return at < 0 ? [line.trim(), ''] : [line.slice(0, at).trim(), line.slice(at + 1).trim()]
}

/** Lines that say something; the numbers stay. */
function linesOf(file: string): string[] {
  return readFileSync(file, 'latin1').split('\n')
}

function postconf(command: string, directory: string, args: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const options = { timeout: LIMIT, killSignal: 'SIGKILL', maxBuffer: 8 * 1024 * 1024 } as const
    execFile(command, ['-c', directory, ...args], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout.split('\n').filter(line => line !== ''))
      const said = stderr
        .split('\n')
        .filter(line => /fatal|error/.test(line))
        .join('; ')
      reject(hostError('DOCTOR_POSTFIX', directory, said || error.message))
    })
  })
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** As Postfix writes a time: a number and a unit, seconds without one. */
export function milliseconds(text: string): number {
  const [, value, unit] = /^(\d+)([smhdw]?)$/.exec(text) ?? []
  return Number(value) * (UNITS[unit || 's'] ?? Number.NaN) * 1000
}

/** Elements of a Postfix list: separated by commas and spaces, with groups in braces. */
export function listElements(value: string): string[] {
  return [...value.matchAll(/\{([^{}]*)\}|[^\s,{}]+/g)].map(match => match[1]?.trim() ?? match[0])
}
