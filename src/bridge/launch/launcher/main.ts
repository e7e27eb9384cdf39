/**
 * The launcher: a small program, started as root, that starts milterhost as an unprivileged user and, for it, the external milters that
 * a file of root's allows.
 *
 * milterhost inherits one end of a socket pair and can ask for nothing but start, stop, restart and status of an id. When
 * milterhost ends, the milters are ended, and then the launcher; SIGTERM and SIGINT go to milterhost first, so that it finishes its messages.
 * It reads no configuration of milterhost, opens no other socket, and has no code that is not of this folder or of Node, but for the
 * clock. Started by systemd or by hand; `bin/milterhost-launcher.mjs` is its command.
 */
import { closeSync, readdirSync, readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { parseArgs } from 'node:util'
import { systemClock } from '../../../host/time/clock.ts'
import { LauncherError, Refusal } from './error.ts'
import { readEntries, trustedProgram } from './file.ts'
import { findIdentity, hostPlan } from './plan.ts'
import { launch, proven } from './process.ts'
import { LauncherServer } from './server.ts'

const HELP = `usage: milterhost-launcher [--file FILE] --user USER [--group GROUP] -- PROGRAM [ARGUMENT…]
       milterhost-launcher [--file FILE] --check
  Starts milterhost as USER, and the external milters that FILE allows when milterhost asks. Needs root.
  --file    what may be started, JSON, written by root alone (default /etc/milterhost/launch.json)
  --check   only say whether FILE can be used, and what it allows
Example: milterhost-launcher --user milterhost -- /usr/bin/milterhost run`

const NEEDED = { CAP_KILL: 5n, CAP_SETGID: 6n, CAP_SETUID: 7n, CAP_SETPCAP: 8n }

/** Of what milters print, nothing may look like a line of somebody else. */
const log = (text: string): void =>
  console.error(text.replaceAll(/[^\x20-\x7e]/g, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`))

/** Resolves to the exit code. `young` is an option that the Node of milterhost is to be started with. */
export async function main(args: readonly string[], young: string): Promise<number> {
  try {
    return await run(args, young)
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string }
    if (code?.startsWith('LAUNCHER_')) log(`${code}: ${message}`)
    else if (code?.startsWith('ERR_PARSE_ARGS')) log(`LAUNCHER_USAGE: ${message}`)
    else if (error instanceof Refusal) log(`LAUNCHER_USER: milterhost does not run: ${message}`)
    else throw error
    return 2
  }
}

async function run(args: readonly string[], young: string): Promise<number> {
  const usage = (what: string): LauncherError => new LauncherError('LAUNCHER_USAGE', `${what}; see --help`)
  const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const
  const options = { file: text, user: text, group: text, check: flag, help: flag }
  const { values, positionals: command } = parseArgs({ args: [...args], options, allowPositionals: true })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const { file = '/etc/milterhost/launch.json', user, group } = values
  let entries = readEntries(file)
  if (values.check) {
    console.log(
      [`${file} allows:`, ...[...entries].map(([id, entry]) => `${id}  ${JSON.stringify(entry)}`)].join('\n  '),
    )
    return 0
  }
  if (process.getuid?.() !== 0) throw usage('it has to be started as root')
  // setpriv says nothing when it may not empty the bounding set.
  const [, effective = '0'] = /^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
  const lacking = Object.entries(NEEDED).filter(([, bit]) => ((BigInt(`0x${effective}`) >> bit) & 1n) === 0n)
  if (lacking.length > 0) throw usage(`it lacks ${lacking.map(([name]) => name).join(', ')}`)
  if (user === undefined) throw usage('--user is missing: who milterhost is to be')
  if (!command[0]?.startsWith('/')) throw usage('after -- the absolute path of milterhost is missing')
  const trusted = (name: string): string => trustedProgram(`/usr/bin/${name}`)
  const tools = { prlimit: trusted('prlimit'), setpriv: trusted('setpriv'), env: trusted('env') }
  const identity = findIdentity({ user, ...(group !== undefined && { group }) })
  const own = 3 + (process.env.LISTEN_PID === String(process.pid) ? Number(process.env.LISTEN_FDS) || 0 : 0)
  closeStray(own)
  const NODE_OPTIONS = `${young} ${process.env.NODE_OPTIONS ?? ''}`.trim()
  const env = { ...process.env, LISTEN_PID: undefined, MILTERHOST_LAUNCHER_FD: String(own), NODE_OPTIONS }
  const plan = hostPlan(command, identity, tools.setpriv, env)
  const child = launch(plan, [...Array(own).keys(), 'pipe'], process.cwd())
  const ended = new Promise<number>(resolve => child.once('exit', code => resolve(code ?? 1)))
  const init = { systemctl: '/usr/bin/systemctl', service: '/usr/sbin/service' }
  const server = new LauncherServer({ entries: () => entries, tools, ...init, clock: systemClock, log })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (signal === 'SIGHUP') entries = reread(file) ?? entries
      server.forget()
      child.kill(signal)
    })
  }
  // Without a listener Node opens its debugger, and with it root's rights, to whoever may connect.
  process.on('SIGUSR1', () => log('SIGUSR1 does nothing here'))
  server.serve(child.stdio[own] as Duplex)
  // The clock's timers do not keep Node from ending while it waits for one; whoever called this exits.
  setInterval(() => {}, 60_000)
  await proven(child, plan, systemClock)
  log(`milterhost runs as ${user}, process ${child.pid}; ${entries.size} milters may be started`)
  const code = await ended
  await server.end()
  return code
}

function reread(file: string): ReturnType<typeof readEntries> | null {
  try {
    const entries = readEntries(file)
    log(`${file} read again: ${entries.size} milters may be started`)
    return entries
  } catch (error) {
    log(`LAUNCHER_FILE: ${(error as Error).message}; what was read before stays`)
    return null
  }
}

/** Open files that somebody before us forgot would go on to every process; those of Node close themselves. */
function closeStray(first: number): void {
  for (const name of readdirSync('/proc/self/fd')) {
    if (Number(name) < first) continue
    try {
      const [, flags = ''] = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1')) ?? []
      if ((Number.parseInt(flags, 8) & 0o2000000) === 0) closeSync(Number(name))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error // The folder that was being listed.
    }
  }
}
