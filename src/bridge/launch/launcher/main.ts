/**
 * The launcher: a small program, started as root, that starts milterhost as an unprivileged user and, for it, the external milters that
 * a file of root's allows.
 *
 * milterhost inherits one end of a socket pair and can ask for nothing but start, stop, restart and status of an id. When
 * milterhost ends, the milters are ended, and then the launcher; SIGTERM and SIGINT go to milterhost first, so that it finishes its messages.
 * It reads no configuration of milterhost, opens no other socket, and has no code that is not of this folder or of Node. Started by systemd or by hand; `bin/milterhost-launcher.mjs` is its command.
 */
import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { parseArgs } from 'node:util'
import { readEntries, trusted } from './file.ts'
import { ERR, LauncherError } from './frame.ts'
import { findIdentity, hostPlan } from './plan.ts'
import { Process } from './process.ts'
import { LauncherServer } from './server.ts'

const HELP = `usage: milterhost-launcher [--file FILE] --user USER -- PROGRAM [ARGUMENT…]
       milterhost-launcher [--file FILE] --check
  Starts milterhost as USER, and the external milters that FILE allows when milterhost asks. Needs root.
  --file    what may be started, JSON, written by root alone (default /etc/milterhost/launch.json)
  --check   only say whether FILE can be used, and what it allows
Example: milterhost-launcher --user milterhost -- /usr/bin/milterhost run`

const TOOLS = { prlimit: '/usr/bin/prlimit', setpriv: '/usr/bin/setpriv', env: '/usr/bin/env' }
const INIT = { systemctl: '/usr/bin/systemctl', service: '/usr/sbin/service' }
/** O_CLOEXEC, as /proc shows it. */
const CLOSES_ITSELF = 0o2000000
const NEEDED = { CAP_KILL: 5n, CAP_SETGID: 6n, CAP_SETUID: 7n, CAP_SETPCAP: 8n }

/** Of what milters print, nothing may look like a line of somebody else. */
const log = (text: string): void =>
  console.error(text.replaceAll(/[^\x20-\x7e]/g, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`))

/** Resolves to the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const
    const options = { file: text, user: text, check: flag, help: flag }
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const { file = '/etc/milterhost/launch.json', user } = values
    if (!values.help && !values.check) return await run(file, user, positionals)
    if (values.help) console.log(HELP)
    else for (const [id, entry] of readEntries(file)) console.log(`${id}  ${JSON.stringify(entry)}`)
    return 0
  } catch (error) {
    const { code = '', message } = error as Error & { readonly code?: string }
    if (code.startsWith('LAUNCHER_')) log(`${ERR}${code}: ${message}`)
    else if (code.startsWith('ERR_PARSE_ARGS')) log(`${ERR}LAUNCHER_USAGE: ${message}`)
    else if (error instanceof LauncherError) log(`${ERR}LAUNCHER_USER: milterhost does not run: ${message}`)
    else throw error
    return 2
  }
}

async function run(file: string, user: string | undefined, command: readonly string[]): Promise<number> {
  const usage = (what: string): LauncherError => new LauncherError('LAUNCHER_USAGE', `${what}; see --help`)
  let entries = readEntries(file)
  if (process.getuid?.() !== 0) throw usage('it has to be started as root')
  // setpriv says nothing when it may not empty the bounding set.
  const [, effective = '0'] = /^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
  const lacking = Object.entries(NEEDED).filter(([, bit]) => ((BigInt(`0x${effective}`) >> bit) & 1n) === 0n)
  if (lacking.length > 0) throw usage(`it lacks ${lacking.map(([name]) => name).join(', ')}`)
  if (user === undefined) throw usage('--user is missing: who milterhost is to be')
  if (!command[0]?.startsWith('/')) throw usage('after -- the absolute path of milterhost is missing')
  for (const tool of Object.values(TOOLS)) trusted(tool)
  const own = 3 + (process.env.LISTEN_PID === String(process.pid) ? Number(process.env.LISTEN_FDS) || 0 : 0)
  closeStray(own)
  const env = { ...process.env, LISTEN_PID: undefined, MILTERHOST_LAUNCHER_FD: String(own) }
  const host = new Process(
    () => hostPlan(command, findIdentity({ user }), TOOLS.setpriv, env),
    text => log(`milterhost ${text}`),
  )
  const server = new LauncherServer({ entries: () => entries, tools: { ...TOOLS, ...INIT }, log })
  process.on('SIGHUP', () => {
    try {
      entries = readEntries(file)
      log(`${file} read again: ${entries.size} milters may be started`)
      server.forget()
    } catch (error) {
      log(`${ERR}LAUNCHER_FILE: ${(error as Error).message}; what was read before stays`)
    }
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => host.child?.kill(signal))
  // Without a listener Node opens its debugger, and with it root's rights, to whoever may connect.
  process.on('SIGUSR1', () => log('SIGUSR1 does nothing here'))
  await host.start([...Array(own).keys(), 'pipe'])
  server.serve(host.child!.stdio[own] as Duplex)
  log(`milterhost runs as ${user}, process ${host.child!.pid}; ${entries.size} milters may be started`)
  await host.ended
  await server.end()
  return host.last!.exitCode ?? 1
}

/** Open files that somebody before us forgot would go on to every process; those of Node close themselves. */
function closeStray(first: number): void {
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    const info = `/proc/self/fdinfo/${fd}`
    // The folder that was being listed is closed by now.
    if (fd < first || !existsSync(info)) continue
    const [, flags = ''] = /^flags:\s*(\d+)/m.exec(readFileSync(info, 'latin1')) ?? []
    if ((Number.parseInt(flags, 8) & CLOSES_ITSELF) === 0) closeSync(fd)
  }
}
