/**
 * One program that is run: started in its stages, proven to have become what was ordered, its output cut into lines, ended with
 * its whole process group.
 *
 * Nothing is restarted here; who wants it running asks again, and is put off when that comes too often. What holds: at most one process
 * at a time; a process that /proc does not show with the user, groups and capabilities ordered is killed and counts as not started; when
 * the process is gone, so is its group. Used by the launcher, and by milterhost for commands of its own.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Clock } from '../../../host/time/clock.ts'
import { Refusal } from './error.ts'
import type { State } from './frame.ts'
import type { Plan } from './plan.ts'

const STARTS = 10
const STARTS_WITHIN = 60_000
const PROVEN_WITHIN = 10_000
const LINE = 1000

export interface ProcessOptions {
  /** Made anew for each start. Throws when it cannot be. */
  plan(): Plan
  readonly clock: Clock
  /** A line of its output, of at most 1000 characters. */
  line(text: string): void
  /** It ended although nobody stopped it. */
  died?(how: string): void
}

export class Process {
  state: State = 'stopped'
  /** How it ended last. */
  last: { readonly exit: number; readonly signal: NodeJS.Signals | null } | null = null
  readonly #options: ProcessOptions
  readonly #starts: number[] = []
  #child: ChildProcess | null = null
  #started: Promise<void> = Promise.resolve()
  #ended: Promise<void> = Promise.resolve()
  #stopping = false

  constructor(options: ProcessOptions) {
    this.#options = options
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Resolves when it runs, at once if it does already. Rejects with a `Refusal`. */
  async start(): Promise<void> {
    if (this.#stopping) await this.#ended
    if (this.#child === null) this.#started = this.#begin()
    await this.#started
  }

  async #begin(): Promise<void> {
    const { clock, line } = this.#options
    const wait = this.wait
    if (wait > 0) throw new Refusal('throttled', `it was started ${STARTS} times within a minute`, wait)
    this.#starts.push(clock.monotonic())
    if (this.#starts.length > STARTS) this.#starts.shift()
    let plan: Plan
    try {
      plan = this.#options.plan()
    } catch (error) {
      throw new Refusal('not-prepared', (error as Error).message)
    }
    const child = launch(plan, ['ignore', 'pipe', 'pipe'])
    this.#child = child
    this.#ended = new Promise(resolve => {
      child.once('error', () => resolve(this.#gone(1, null)))
      child.once('exit', (code, signal) => resolve(this.#gone(code ?? 0, signal)))
    })
    for (const stream of [child.stdout!, child.stderr!]) cutLines(stream, line)
    try {
      await proven(child, plan, clock)
    } catch (error) {
      await this.#ended
      throw error
    }
    this.state = 'running'
  }

  /** Asks it to end, and makes it after so many milliseconds. Resolves when it is gone. */
  async stop(grace = 10_000): Promise<void> {
    const child = this.#child
    if (child === null) return
    this.#stopping = true
    killGroup(child, 'SIGTERM')
    const cancel = this.#options.clock.after(grace, () => killGroup(child, 'SIGKILL'))
    await this.#ended
    cancel()
  }

  /** Milliseconds until a start is allowed. */
  get wait(): number {
    const oldest = this.#starts.at(-STARTS)
    return oldest === undefined ? 0 : Math.max(0, oldest + STARTS_WITHIN - this.#options.clock.monotonic())
  }

  #gone(code: number, signal: NodeJS.Signals | null): void {
    const child = this.#child!
    // Those that it started keep its socket, and the next one could not have it.
    killGroup(child, 'SIGKILL')
    const ran = this.state === 'running'
    this.#child = null
    this.last = { exit: code, signal }
    this.state = this.#stopping || (code === 0 && signal === null) ? 'stopped' : 'failed'
    if (ran && !this.#stopping) this.#options.died?.(ending(child))
    this.#stopping = false
  }
}

/** Spawned with a session of its own and the umask of the plan. Nothing is known yet of how far it gets. */
export function launch(plan: Plan, stdio: StdioOptions, cwd = '/'): ChildProcess {
  const before = process.umask(plan.umask)
  try {
    return spawn(plan.program, plan.args, { cwd, env: plan.env, stdio, detached: true })
  } finally {
    process.umask(before)
  }
}

export const ending = ({ exitCode, signalCode }: ChildProcess): string =>
  signalCode === null ? `it ended with ${exitCode}` : `it was ended by ${signalCode}`

/** Resolves when all stages are behind it and /proc shows what was ordered; else it is killed and this rejects. */
export async function proven(child: ChildProcess, plan: Plan, clock: Clock): Promise<void> {
  const late = clock.monotonic() + PROVEN_WITHIN
  let failed: string | null = null
  if (child.pid === undefined)
    failed = await new Promise(resolve => child.once('error', error => resolve(error.message)))
  while (failed === null && plan.stages.length > 0) {
    if (child.exitCode !== null || child.signalCode !== null) failed = `${ending(child)} before it had begun`
    else if (clock.monotonic() > late) failed = 'it did not begin in time'
    else {
      const seen = look(child.pid!, plan)
      if (seen === 'proven') return
      if (seen === 'waiting') await new Promise<void>(resolve => clock.after(10, resolve))
      else failed = seen
    }
  }
  if (failed === null) return
  killGroup(child, 'SIGKILL')
  throw new Refusal('not-started', failed)
}

function look(pid: number, { stages, identity }: Plan): 'proven' | 'waiting' | string {
  let text = ''
  try {
    text = readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return 'waiting' // ended, or /proc is hidden from us: then its time runs out
  }
  const found = new Map([...text.matchAll(/^(\w+):[ \t]*(.*?)[ \t]*$/gm)].map(([, name, value]) => [name!, value!]))
  if (stages.includes(found.get('Name') ?? '') || /^[ZX]/.test(found.get('State') ?? 'X')) return 'waiting'
  const ordered: [string, string][] = stages.includes('setpriv') ? [['NoNewPrivs', '1']] : []
  if (identity !== null) {
    const { uid, gid, groups } = identity
    ordered.push(['Uid', Array(4).fill(uid).join('\t')], ['Gid', Array(4).fill(gid).join('\t')])
    ordered.push(['Groups', [...groups].sort((a, b) => a - b).join(' ')])
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) ordered.push([set, '0'.repeat(16)])
  }
  const wrong = ordered.find(([name, value]) => found.get(name) !== value)
  return wrong === undefined ? 'proven' : `it has ${wrong[0]} ${found.get(wrong[0])} instead of ${wrong[1]}`
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') child.kill(signal)
  }
}

/** What has no line end is told in pieces. */
function cutLines(stream: Readable, tell: (text: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()!
    for (const part of parts) for (let at = 0; at === 0 || at < part.length; at += LINE) tell(part.slice(at, at + LINE))
    for (; rest.length > LINE; rest = rest.slice(LINE)) tell(rest.slice(0, LINE))
  })
  stream.on('end', () => rest !== '' && tell(rest))
  stream.on('error', () => {}) // it ended; that is told by its exit
}
