/**
 * One program that is run: started in its stages, proven to have become what was ordered, its output cut into lines, ended with
 * its whole process group.
 *
 * Nothing is restarted here; who wants it running asks again, and is put off when that comes too often. What holds: at most one process
 * at a time; a process that /proc does not show with the user, groups and capabilities ordered is killed and counts as not started; when
 * the process is gone, so is its group. One start at a time; a stop may come any time. Used by the launcher, and by milterhost for commands of its own.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Clock } from '../../../host/time/clock.ts'
import { Refusal } from './error.ts'
import type { State } from './frame.ts'
import type { Plan } from './plan.ts'

const STARTS = 10
const STARTS_WITHIN = 60_000
const PROVEN_WITHIN = 10_000

export interface ProcessOptions {
  /** Made anew for each start. Throws when it cannot be. */
  plan(): Plan
  readonly clock: Clock
  /** A line of its output, of at most 1000 characters. */
  line(text: string): void
}

export class Process {
  state: State = 'stopped'
  /** How it ended last. */
  last: { readonly exit: number; readonly signal: NodeJS.Signals | null } | null = null
  readonly #options: ProcessOptions
  readonly #starts: number[] = []
  #child: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()
  #stopping = false

  constructor(options: ProcessOptions) {
    this.#options = options
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Milliseconds until a start is allowed. */
  get wait(): number {
    const oldest = this.#starts.at(-STARTS) ?? Number.NEGATIVE_INFINITY
    return Math.max(0, oldest + STARTS_WITHIN - this.#options.clock.monotonic())
  }

  /** Resolves when it runs, at once if it does already. Rejects with a `Refusal`, or with what `plan` threw. */
  async start(): Promise<void> {
    if (this.#child !== null) return
    const { clock, line } = this.#options
    if (this.wait > 0) throw new Refusal('throttled', `it was started ${STARTS} times within a minute`)
    this.#starts.splice(0, this.#starts.length - STARTS + 1)
    this.#starts.push(clock.monotonic())
    const plan = this.#options.plan()
    const child = launch(plan, ['ignore', 'pipe', 'pipe'])
    this.#child = child
    this.#stopping = false
    this.#ended = new Promise(resolve => {
      for (const event of ['error', 'exit']) child.once(event, () => resolve(this.#gone(child)))
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

  #gone(child: ChildProcess): void {
    // Those that it started keep its socket, and the next one could not have it.
    killGroup(child, 'SIGKILL')
    this.#child = null
    this.last = { exit: child.exitCode ?? 0, signal: child.signalCode }
    this.state = this.#stopping || child.exitCode === 0 ? 'stopped' : 'failed'
    if (!this.#stopping) this.#options.line(`(${ending(child)})`)
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

const ending = ({ exitCode, signalCode }: ChildProcess): string =>
  signalCode === null ? `it ended with ${exitCode}` : `it was ended by ${signalCode}`

/** Resolves when all stages are behind it and /proc shows what was ordered; else it is killed and this rejects. */
export async function proven(child: ChildProcess, plan: Plan, clock: Clock): Promise<void> {
  const late = clock.monotonic() + PROVEN_WITHIN
  let seen: string | null = 'waiting'
  if (child.pid === undefined) seen = await new Promise(resolve => child.once('error', error => resolve(error.message)))
  while (seen === 'waiting') {
    seen = look(child.pid!, plan)
    if (child.exitCode !== null || child.signalCode !== null) seen = `${ending(child)} before it had begun`
    else if (clock.monotonic() > late) seen = 'it did not begin in time'
    else if (seen === 'waiting') await new Promise<void>(resolve => clock.after(10, resolve))
  }
  if (seen === null) return
  killGroup(child, 'SIGKILL')
  throw new Refusal('not-started', seen)
}

/** `null` when it is as ordered, else what it is not. */
function look(pid: number, { stages, proof }: Plan): string | null {
  if (stages.length === 0) return null
  // Hidden from us it may be, and then its time runs out; gone it is not before its end was told.
  const rows = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/status`, 'latin1').split(/[ \t]*\n/) : []
  const [, name = stages[0]!] = rows[0]?.split('\t') ?? []
  if (stages.includes(name) || rows.some(row => /^State:\t[ZX]/.test(row))) return 'waiting'
  const missing = proof.find(row => !rows.includes(row))
  return missing === undefined ? null : `it is not what was ordered, ${missing.replace('\t', ' ')}`
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') child.kill(signal)
  }
}

/** What has no line end is told in pieces. */
function cutLines(stream: Readable, tell: (text: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const text = rest + chunk
    const pieces = text.match(/[^\n]{1000}\n?|[^\n]*\n/g) ?? []
    rest = text.slice(pieces.join('').length)
    for (const piece of pieces) tell(piece.replace('\n', ''))
  })
  stream.on('end', () => rest !== '' && tell(rest))
  stream.on('error', () => {}) // It ended; that is told by its exit.
}
