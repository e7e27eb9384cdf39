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
import { LauncherError, launcherErrors } from './error.ts'
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

/** Resolves to the exit code. `young` is an option that the Node of milterhost is to be started with. */
export async function main(args: readonly string[], young: string): Promise<number> {
  const log = (text: string): void => console.error(text.replaceAll(/[^\x20-\x7e]/g, escaped))
  try {
    return await start(args, young, log)
  } catch (error) {
    const { code, message } = error as LauncherError
    log(`${code ?? 'LAUNCHER_USAGE'}: ${message}`)
    return 2
  }
}

/** Of what milters print, nothing may look like a line of somebody else. */
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

async function start(args: readonly string[], young: string, log: (text: string) => void): Promise<number> {
  const { values: options, positionals: command } = parse(args)
  if (options.help) {
    console.log(HELP)
    return 0
  }
  const file = options.file ?? '/etc/milterhost/launch.json'
  const entries = readEntries(file)
  if (options.check) {
    console.log(
      [`${file} allows:`, ...[...entries].map(([id, entry]) => `  ${id}  ${JSON.stringify(entry)}`)].join('\n'),
    )
    return 0
  }
  if (process.getuid?.() !== 0) throw usage('it has to be started as root')
  if (options.user === undefined) throw usage('--user is missing: who milterhost is to be')
  if (!command[0]?.startsWith('/')) throw usage('after -- the absolute path of milterhost is missing')
  const tools = { prlimit: trusted('prlimit'), setpriv: trusted('setpriv'), env: trusted('env') }
  let identity: ReturnType<typeof findIdentity>
  try {
    identity = findIdentity({ user: options.user, ...(options.group !== undefined && { group: options.group }) })
  } catch (error) {
    throw new LauncherError('LAUNCHER_USER', launcherErrors.LAUNCHER_USER((error as Error).message))
  }
  const sockets = process.env.LISTEN_PID === String(process.pid) ? Number(process.env.LISTEN_FDS) || 0 : 0
  closeStray(3 + sockets)
  const own = 3 + sockets
  const env = {
    ...process.env,
    LISTEN_PID: undefined,
    MILTERHOST_LAUNCHER_FD: String(own),
    NODE_OPTIONS: `${young} ${process.env.NODE_OPTIONS ?? ''}`.trim(),
  }
  const plan = hostPlan(command, identity, tools.setpriv, env)
  const inherited = Array.from({ length: own }, (_, fd) => fd)
  const child = launch(plan, [...inherited, 'pipe'], process.cwd())
  const ended = new Promise<number>(resolve => {
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 1))
  })
  const server = new LauncherServer(entries, tools, { clock: systemClock, log })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (signal === 'SIGHUP') reread(server, file, log)
      child.kill(signal)
    })
  }
  // Without a listener Node opens its debugger, and with it root's rights, to whoever may connect.
  process.on('SIGUSR1', () => {})
  server.serve(child.stdio[own] as Duplex)
  try {
    await proven(child, plan, systemClock)
  } catch (error) {
    throw new LauncherError('LAUNCHER_USER', launcherErrors.LAUNCHER_USER(`milterhost: ${(error as Error).message}`))
  }
  log(`milterhost runs as ${identity.user}, process ${child.pid}; ${entries.size} milters may be started`)
  const code = await ended
  await server.end()
  return code
}

function reread(server: LauncherServer, file: string, log: (text: string) => void): void {
  try {
    server.entries = readEntries(file)
    void server.forget()
    log(`${file} read again: ${server.entries.size} milters may be started`)
  } catch (error) {
    log(`${(error as LauncherError).code}: ${(error as Error).message}; what was read before stays`)
  }
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    const options = { file: text, user: text, group: text, check: flag, help: flag }
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw usage((error as Error).message)
  }
}

const usage = (what: string): LauncherError => new LauncherError('LAUNCHER_USAGE', launcherErrors.LAUNCHER_USAGE(what))

const trusted = (name: string): string => trustedProgram(`/usr/bin/${name}`)

/** Open files that somebody before us forgot would go on to every process; those of Node close themselves. */
function closeStray(first: number): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name)
    if (fd < first) continue
    try {
      const [, flags = ''] = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? []
      if ((Number.parseInt(flags, 8) & 0o2000000) === 0) closeSync(fd)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error // the folder that was being listed
    }
  }
}
