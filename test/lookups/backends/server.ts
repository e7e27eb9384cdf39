/** A real server of a test: started, killed, made to hang, and started again, each by its pid. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { onCleanup } from '../../interop/harness/cleanup.ts'
import { until } from '../../interop/harness/wait.ts'

export interface ServerOptions {
  readonly program: string
  readonly args: readonly string[]
  /** Servers that refuse to run as root. */
  readonly user?: { readonly uid: number; readonly gid: number }
  /** Resolves when it answers, rejects while it does not. */
  readonly ready: () => Promise<unknown>
}

export class RealServer {
  readonly #options: ServerOptions
  #child: ChildProcess | null = null
  #output = ''

  constructor(options: ServerOptions) {
    this.#options = options
    onCleanup(() => this.kill())
  }

  async start(): Promise<void> {
    const { program, args, user, ready } = this.#options
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...user, cwd: '/' })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (this.#output += text))
    let last: unknown
    await until(
      () => `${program} answers: ${String(last)}\n${this.#output.slice(-2000)}`,
      async () => {
        if (child.exitCode !== null)
          throw new Error(`${program} ended with ${child.exitCode}:\n${this.#output.slice(-2000)}`)
        try {
          await ready()
          return true
        } catch (error) {
          last = error
          return false
        }
      },
    )
  }

  /** At once, as by a crash; resolves when all of its processes are gone. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const pids = this.#family(child.pid)
    const ended = new Promise(done => child.once('exit', done))
    signalAll(pids, 'SIGKILL')
    await ended
    await until('all of it is gone', () => pids.every(pid => !isThere(pid)))
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** It keeps its sockets and says nothing any more: resolves when its last thread stands still, which is later than the signal. */
  async hang(): Promise<void> {
    const pids = this.#family(this.#child!.pid!)
    signalAll(pids, 'SIGSTOP')
    await until('all of it stands still', () => pids.every(standsStill))
  }

  resume(): void {
    signalAll(this.#family(this.#child!.pid!), 'SIGCONT')
  }

  /** The process and its descendants: PostgreSQL serves each connection by a process of its own session. */
  #family(pid: number): number[] {
    const parents = new Map<number, number>()
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue
      try {
        parents.set(
          Number(name),
          Number(
            readFileSync(`/proc/${name}/stat`, 'utf8')
              .replace(/^.*\) \S /s, '')
              .split(' ')[0],
          ),
        )
      } catch {
        // It ended while we looked.
      }
    }
    const family = [pid]
    for (const member of family) for (const [id, parent] of parents) if (parent === member) family.push(id)
    return family
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

function standsStill(pid: number): boolean {
  return threadsOf(pid).every(thread => ['T', 'Z', null].includes(stateIn(thread)))
}

function isThere(pid: number): boolean {
  return !['Z', null].includes(stateIn(`/proc/${pid}`))
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(thread => `/proc/${pid}/task/${thread}`)
  } catch {
    return []
  }
}

/** The state letter of proc_pid_stat(5); null when it is gone. */
function stateIn(folder: string): string | null {
  try {
    return readFileSync(`${folder}/stat`, 'utf8').replace(/^.*\) /s, '')[0]!
  } catch {
    return null
  }
}
