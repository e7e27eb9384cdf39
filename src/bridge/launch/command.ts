/**
 * An external milter that milterhost runs itself: a child process, under the same user or, as root, under another.
 *
 * It is run by the same code that the launcher uses, so limits, folder, environment and output are alike. Nothing is restarted here: the
 * health keeper asks. Its output goes to the log, line by line. When milterhost ends it is ended, first asked and then
 * made; when milterhost is killed, the kernel kills it. Made by `process-control.ts`.
 */

import { hostError } from '../../host/errors.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import type { ProcessControl, ProcessStatus } from './control.ts'
import { type Action, launchFailure } from './failure.ts'
import type { CommandEntry } from './launcher/entry.ts'
import { LauncherError } from './launcher/frame.ts'
import { findIdentity, planOf, type Tools } from './launcher/plan.ts'
import { endingText, Process } from './launcher/process.ts'
import { planOfOwn } from './own-plan.ts'
import { abortText } from './run.ts'

/** The daemon gives a filter 3 s to close. */
const CLOSING = 2_000
const LINES_A_SECOND = 100
/** Of a process that has not run yet. */
export const NEVER = 'never started'

export interface CommandOptions {
  readonly filter: string
  readonly entry: CommandEntry
  /** Whether another user is to be become; needs root. */
  readonly drop: boolean
  /** `null` where this system has none of them. */
  readonly tools: Tools | null
  readonly clock: Clock
  readonly log: Logger
}

export class CommandControl implements ProcessControl {
  readonly description: string
  readonly #filter: string
  readonly #process: Process
  #before: Promise<void> = Promise.resolve()

  constructor({ filter, entry, drop, tools, clock, log }: CommandOptions) {
    this.description = `command ${entry.command[0]}`
    this.#filter = filter
    const output = new OutputLog(clock, log)
    this.#process = new Process(
      () => (drop && tools !== null ? planOf(entry, findIdentity(entry), tools) : planOfOwn(entry, drop, tools)),
      text => output.line(text),
    )
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#do('start', signal, () => this.#process.start())
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.#do('stop', signal, () => this.#process.stop())
  }

  restart(signal: AbortSignal): Promise<void> {
    return this.#do('restart', signal, async () => {
      await this.#process.stop()
      await this.#process.start()
    })
  }

  async status(): Promise<ProcessStatus> {
    const { state, child, last } = this.#process
    const detail = state === 'running' ? state : last === null ? NEVER : endingText(last)
    return { state, pid: child?.pid ?? null, detail }
  }

  async close(): Promise<void> {
    await this.#process.stop(CLOSING)
  }

  /** One thing at a time. What was begun goes on when the signal is aborted; only the wait ends. */
  async #do(action: Action, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>()
    const aborted = (): void => reject(new Error(abortText(signal)))
    if (signal.aborted) throw launchFailure(this.#filter, action, this.description, abortText(signal))
    signal.addEventListener('abort', aborted, { once: true })
    try {
      const done = this.#before.then(work)
      this.#before = done.catch(() => {})
      await Promise.race([done, promise])
    } catch (error) {
      if (error instanceof LauncherError && error.code === 'throttled') {
        throw hostError('LAUNCH_THROTTLED', this.#filter, this.description, Math.ceil(this.#process.wait / 1000))
      }
      throw launchFailure(this.#filter, action, this.description, (error as Error).message)
    } finally {
      signal.removeEventListener('abort', aborted)
    }
  }
}

/** More lines than anybody reads are counted and left out: a milter in a loop must not fill the log. */
class OutputLog {
  readonly #clock: Clock
  readonly #log: Logger
  #second = 0
  #told = 0

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  line(output: string): void {
    const second = Math.floor(this.#clock.monotonic() / 1000)
    if (second !== this.#second) {
      if (this.#told > LINES_A_SECOND)
        this.#log.warn({ lines: this.#told - LINES_A_SECOND }, 'lines of the milter left out')
      this.#second = second
      this.#told = 0
    }
    if (++this.#told <= LINES_A_SECOND) this.#log.info({ output }, 'the milter says')
  }
}
