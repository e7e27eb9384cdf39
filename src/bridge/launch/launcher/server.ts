/**
 * What is asked of the launcher, and what it does: frames in, starts and stops of allowed entries, frames out.
 *
 * Nothing that arrives says what to run: it is looked up in the file's entries by id. A frame that is not one of ours closes the
 * connection. For one id one thing is done at a time, and the peer is not read while it does not take its answers. Made by
 * `main.ts`, and by tests with a socket of their own.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Duplex } from 'node:stream'
import type { Entry } from './entry.ts'
import { trusted } from './file.ts'
import { type Answer, decodeRequest, ERR, encodeAnswer, FRAME, LauncherError, RESULTS, type Request } from './frame.ts'
import { findIdentity, type Plan, planOf, type Tools } from './plan.ts'
import { Process } from './process.ts'

const INIT_LIMIT = 120_000
const MOST_UNANSWERED = 64

export interface LauncherOptions {
  /** As the file was read last. */
  entries(): ReadonlyMap<string, Entry>
  /** Where the programs are that it runs as root. */
  readonly tools: Tools & { readonly systemctl: string; readonly service: string }
  log(text: string): void
}

/** What a frame asks for and the entry that allows it; `null` when it is no frame. The one place where that is decided. */
export function permitted(frame: Buffer, entries: ReadonlyMap<string, Entry>): [Request, Entry | null] | null {
  const request = decodeRequest(frame)
  return request === null ? null : [request, entries.get(request.id) ?? null]
}

export class LauncherServer {
  readonly #options: LauncherOptions
  readonly #processes = new Map<string, Process>()
  readonly #busy = new Set<string>()
  #unanswered = 0

  constructor(options: LauncherOptions) {
    this.#options = options
  }

  serve(socket: Duplex): void {
    socket.on('error', error => this.#options.log(`${ERR}the connection to milterhost failed: ${error.message}`))
    for (const event of ['drain', 'readable']) socket.on(event, () => this.#read(socket))
  }

  /** Ends all that it runs. */
  async end(): Promise<void> {
    await Promise.all([...this.#processes.values()].map(process => process.stop()))
  }

  /** Stops what the file no longer has. A changed entry is used from its next start on. */
  forget(): void {
    for (const [id, process] of this.#processes) if (!this.#options.entries().has(id)) void process.stop()
  }

  #read(socket: Duplex): void {
    while (this.#unanswered < MOST_UNANSWERED && !socket.writableNeedDrain) {
      const frame = socket.read(FRAME.size) as Buffer | null
      if (frame === null) return
      const asked = permitted(frame, this.#options.entries())
      if (asked === null) {
        this.#options.log(`${ERR}milterhost sent what is no request; nothing more is taken from it`)
        socket.destroy()
        return
      }
      this.#unanswered++
      void this.#answer(...asked).then(answer => {
        this.#unanswered--
        if (!socket.destroyed && socket.write(encodeAnswer(answer))) this.#read(socket)
      })
    }
  }

  async #answer({ operation, number, id }: Request, entry: Entry | null): Promise<Answer> {
    const none = { number, result: 'done', state: 'unknown', own: false, pid: null, last: null, wait: 0 } as const
    if (entry === null) return { ...none, result: 'unknown-id' }
    if (this.#busy.has(id)) return { ...none, result: 'busy' }
    this.#busy.add(id)
    let result: Answer['result'] = 'done'
    try {
      if (!('command' in entry)) return { ...none, state: await this.#ask(entry, operation) }
      if (operation === 'stop' || operation === 'restart') await this.#process(id).stop()
      if (operation === 'start' || operation === 'restart') await this.#process(id).start()
    } catch (error) {
      result = RESULTS.find(word => word === (error as LauncherError).code) ?? 'unprepared'
      this.#options.log(`${ERR}${id}: ${operation} failed: ${(error as Error).message}`)
    } finally {
      this.#busy.delete(id)
    }
    if (!('command' in entry)) return { ...none, result }
    const { state, child, last, wait } = this.#process(id)
    const pid = child?.pid ?? null
    if (operation !== 'status') this.#options.log(`${id}: ${operation}: ${state}, process ${pid}`)
    const signal = last?.signalCode ? constants.signals[last.signalCode] : 0
    return { number, result, own: true, state, pid, last: last && { exit: last.exitCode ?? 0, signal }, wait }
  }

  #process(id: string): Process {
    const { log, tools, entries } = this.#options
    const plan = (): Plan => {
      const entry = entries().get(id)
      if (entry === undefined || !('command' in entry)) throw new Error('it is no longer in the file')
      return planOf(entry, findIdentity(entry), tools)
    }
    const process = this.#processes.get(id) ?? new Process(plan, text => log(`${id} says: ${text}`))
    this.#processes.set(id, process)
    return process
  }

  /** The system's init, as root. By its exit code it says whether it was done, or for a status whether it runs. */
  async #ask(entry: Exclude<Entry, { command: unknown }>, operation: Request['operation']): Promise<Answer['state']> {
    const { systemctl, service } = this.#options.tools
    const [program, ...args] =
      'systemd' in entry
        ? [systemctl, operation === 'status' ? 'is-active' : operation, '--', entry.systemd]
        : [service, entry.service, operation]
    const env = { PATH: '/usr/sbin:/usr/bin' }
    const child = spawn(trusted(program!), args, { stdio: 'ignore', cwd: '/', env, timeout: INIT_LIMIT })
    const code = await new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject))
    if (operation === 'status') return code === 0 ? 'running' : 'stopped'
    if (code !== 0) throw new LauncherError('init-failed', `${program} ended with ${code}`)
    return 'unknown'
  }
}
