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
import type { Clock } from '../../../host/time/clock.ts'
import type { Entry } from './entry.ts'
import { Refusal } from './error.ts'
import { trustedProgram } from './file.ts'
import { type Answer, decodeRequest, encodeAnswer, FrameCutter, type Operation, type Request } from './frame.ts'
import { type InitEntry, initCommand } from './init.ts'
import { findIdentity, planOf, type Tools } from './plan.ts'
import { Process } from './process.ts'

const INIT_LIMIT = 120_000

/** What a frame asks for, if the entries allow it. The one place where that is decided. */
export function permitted(
  frame: Buffer,
  entries: ReadonlyMap<string, Entry>,
): { readonly request: Request; readonly entry: Entry | null } | null {
  const request = decodeRequest(frame)
  return request === null ? null : { request, entry: entries.get(request.id) ?? null }
}

export class LauncherServer {
  /** Replaced when the file is read again. */
  entries: ReadonlyMap<string, Entry>
  readonly #tools: Tools
  readonly #clock: Clock
  readonly #log: (text: string) => void
  readonly #init: typeof initCommand
  readonly #processes = new Map<string, Process>()
  readonly #busy = new Set<string>()

  constructor(
    entries: ReadonlyMap<string, Entry>,
    tools: Tools,
    { clock, log, init }: { readonly clock: Clock; log(text: string): void; readonly init?: typeof initCommand },
  ) {
    this.entries = entries
    this.#tools = tools
    this.#clock = clock
    this.#log = log
    this.#init = init ?? initCommand
  }

  serve(socket: Duplex): void {
    const cutter = new FrameCutter()
    socket.on('data', (chunk: Buffer) => {
      for (const frame of cutter.push(chunk)) {
        const asked = permitted(frame, this.entries)
        if (asked === null) {
          this.#log('milterhost sent what is no request; the connection is closed, and nothing more is started for it')
          socket.destroy()
          return
        }
        void this.#answer(asked.request, asked.entry).then(answer => {
          if (socket.destroyed || socket.write(encodeAnswer(answer)) || socket.isPaused()) return
          socket.pause().once('drain', () => socket.resume())
        })
      }
    })
    socket.on('error', error => this.#log(`the connection to milterhost failed: ${error.message}`))
  }

  /** Ends all that it runs. */
  async end(): Promise<void> {
    await Promise.all([...this.#processes.values()].map(process => process.stop()))
  }

  /** Stops what the entries no longer have; a changed entry is used from its next start on. */
  async forget(): Promise<void> {
    for (const [id, process] of this.#processes) {
      const entry = this.entries.get(id)
      if (entry === undefined || !('command' in entry)) await process.stop()
    }
  }

  async #answer({ operation, number, id }: Request, entry: Entry | null): Promise<Answer> {
    const none = { number, state: 'unknown', own: false, pid: null, last: null, wait: 0 } as const
    if (entry === null) return { ...none, result: 'unknown-id' }
    if (this.#busy.has(id)) return { ...none, result: 'busy' }
    this.#busy.add(id)
    try {
      if (!('command' in entry)) return { ...none, ...(await this.#ask(entry, operation)) }
      const process = this.#process(id)
      const done = await this.#run(process, id, operation)
      const { state, pid, last, wait } = process
      const signal = last?.signal ? constants.signals[last.signal] : 0
      return { number, own: true, state, pid, last: last && { exit: last.exit, signal }, wait, ...done }
    } finally {
      this.#busy.delete(id)
    }
  }

  async #run(process: Process, id: string, operation: Operation): Promise<Pick<Answer, 'result'>> {
    try {
      if (operation === 'stop' || operation === 'restart') await process.stop()
      if (operation === 'start' || operation === 'restart') await process.start()
      if (operation !== 'status') this.#log(`${id}: ${operation} done, ${process.pid ?? 'no process'}`)
      return { result: 'done' }
    } catch (error) {
      this.#log(`${id}: ${operation} refused: ${(error as Error).message}`)
      return { result: error instanceof Refusal ? error.result : 'not-started' }
    }
  }

  #process(id: string): Process {
    const known = this.#processes.get(id)
    if (known !== undefined) return known
    const process = new Process({
      plan: () => {
        const entry = this.entries.get(id)
        if (entry === undefined || !('command' in entry)) throw new Error('it is no longer in the file')
        return planOf(entry, findIdentity(entry), this.#tools)
      },
      clock: this.#clock,
      line: text => this.#log(`${id} says: ${text}`),
      died: how => this.#log(`${id}: ${how}`),
    })
    this.#processes.set(id, process)
    return process
  }

  async #ask(entry: InitEntry, operation: Operation): Promise<Pick<Answer, 'result' | 'state'>> {
    const command = this.#init(entry, operation)
    try {
      const ended = await runInit(command)
      if (operation === 'status') return { result: 'done', state: ended === 0 ? 'running' : 'stopped' }
      this.#log(`${command.join(' ')}: ended with ${ended}`)
      return { result: ended === 0 ? 'done' : 'init-failed', state: 'unknown' }
    } catch (error) {
      this.#log(`${command.join(' ')}: ${(error as Error).message}`)
      return { result: 'init-failed', state: 'unknown' }
    }
  }
}

/** The output of the init goes where the launcher's goes, but for a status, which is asked often. */
function runInit([program, ...args]: readonly [string, ...string[]]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
    const child = spawn(trustedProgram(program), args, {
      cwd: '/',
      env,
      stdio: 'ignore',
      timeout: INIT_LIMIT,
      killSignal: 'SIGKILL',
    })
    child.once('error', reject)
    child.once('exit', resolve)
  })
}
