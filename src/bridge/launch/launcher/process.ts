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
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { LauncherError, type State } from './frame.ts'
import type { Plan } from './plan.ts'

const STARTS = 10
const STARTS_WITHIN = 60_000
const PROVEN_WITHIN = 10_000

/** How a process ended: a child that has exited is one. */
type Ending = Pick<ChildProcess, 'exitCode' | 'signalCode'>

export const endingText = ({ exitCode, signalCode }: Ending): string =>
  signalCode === null ? `ended with ${exitCode}` : `ended by ${signalCode}`

export class Process {
  state: State = 'stopped'
  child: ChildProcess | null = null
  /** How it ended last. */
  last: Ending | null = null
  ended: Promise<void> = Promise.resolve()
  readonly #plan: () => Plan
  readonly #line: (text: string) => void
  readonly #starts: number[] = []
  #stopping = false

  /** `plan` is made anew for each start, and may throw; `line` gets its output, in lines of at most 1000 characters. */
  constructor(plan: () => Plan, line: (text: string) => void) {
    this.#plan = plan
    this.#line = line
  }

  /** Milliseconds until a start is allowed. */
  get wait(): number {
    const oldest = this.#starts.at(-STARTS) ?? Number.NEGATIVE_INFINITY
    return Math.max(0, oldest + STARTS_WITHIN - performance.now())
  }

  /** Resolves when it runs, at once if it does already. Rejects with a `LauncherError`, or with what `plan` threw. */
  async start(stdio: StdioOptions = ['ignore', 'pipe', 'pipe']): Promise<void> {
    if (this.child !== null) return
    if (this.wait > 0) throw new LauncherError('throttled', `it was started ${STARTS} times within a minute`)
    this.#starts.splice(0, this.#starts.length - STARTS + 1)
    this.#starts.push(performance.now())
    const plan = this.#plan()
    const child = launch(plan, stdio)
    this.child = child
    this.#stopping = false
    this.ended = new Promise(resolve => child.once('error', resolve).once('exit', resolve)).then(() =>
      this.#gone(child),
    )
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) cutLines(stream, this.#line)
    const wrong = await flaw(child, plan)
    if (wrong !== null) {
      killGroup(child, 'SIGKILL')
      await this.ended
      throw new LauncherError('not-started', wrong)
    }
    this.state = 'running'
  }

  /** Asks it to end, and makes it after so many milliseconds. Resolves when it is gone. */
  async stop(grace = 10_000): Promise<void> {
    const { child } = this
    if (child === null) return
    this.#stopping = true
    killGroup(child, 'SIGTERM')
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), grace)
    await this.ended
    clearTimeout(timer)
  }

  #gone(child: ChildProcess): void {
    // Those that it started keep its socket, and the next one could not have it.
    killGroup(child, 'SIGKILL')
    this.child = null
    this.last = child
    this.state = this.#stopping || child.exitCode === 0 ? 'stopped' : 'failed'
    if (!this.#stopping) this.#line(`(it ${endingText(child)})`)
  }
}

/** Spawned with a session of its own and the umask of the plan. Nothing is known yet of how far it gets. */
function launch({ stages, command, env, directory, umask }: Plan, stdio: StdioOptions): ChildProcess {
  const [program = '', ...args] = [...stages.flat(), ...command]
  const before = process.umask(umask)
  try {
    return spawn(program, args, { cwd: directory, env, stdio, detached: true })
  } finally {
    process.umask(before)
  }
}

/** `null` as soon as all stages are behind it and /proc shows what was ordered; else what is wrong. */
async function flaw(child: ChildProcess, { stages, proof }: Plan): Promise<string | null> {
  if (child.pid === undefined) return new Promise(resolve => child.once('error', error => resolve(error.message)))
  if (stages.length === 0) return null
  const [file, late] = [`/proc/${child.pid}/status`, performance.now() + PROVEN_WITHIN]
  // While a stage is at work, /proc shows its name.
  const names = stages.map(([path = '']) => `Name:\t${basename(path).slice(0, 15)}`)
  for (; performance.now() < late; await sleep(10)) {
    if (child.exitCode !== null || child.signalCode !== null) return `it ${endingText(child)} before it had begun`
    // Hidden from us it may be, and then its time runs out; gone it is not before its end was told.
    const rows = existsSync(file) ? readFileSync(file, 'latin1').split(/[ \t]*\n/) : names
    if (names.includes(rows[0]!) || rows.some(row => /^State:\t[ZX]/.test(row))) continue
    const missing = proof.find(row => !rows.includes(row))
    return missing === undefined ? null : `it is not what was ordered, ${missing.replace('\t', ' ')}`
  }
  return 'it did not begin in time'
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
