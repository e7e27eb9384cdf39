/**
 * An external milter that the launcher starts: milterhost says an id, the launcher's file says the rest.
 *
 * What went wrong in detail stands in the launcher's log; an answer has room for a word only. A process that the launcher runs itself is stopped
 * when this control is closed, one of the system's init is left alone. Made by `process-control.ts`.
 */
import { constants } from 'node:os'
import { type HostError, hostError } from '../../host/errors.ts'
import { NEVER } from './command.ts'
import type { ProcessControl, ProcessStatus } from './control.ts'
import { type Action, launchFailure } from './failure.ts'
import type { Answer, Result } from './launcher/frame.ts'
import { endingText } from './launcher/process.ts'
import type { LauncherClient } from './launcher-client.ts'

export interface LauncherControlOptions {
  readonly filter: string
  readonly id: string
  /** The entry that its file should have, as JSON, to be told when it has none. */
  readonly wanted: string
  readonly client: LauncherClient
  /** Asked in place of the launcher where anybody may ask, and more is known so. */
  readonly status?: (signal: AbortSignal) => Promise<ProcessStatus>
}

/** When the daemon ends; the launcher ends what is left. */
const CLOSING = 2_500

export class LauncherControl implements ProcessControl {
  readonly description: string
  readonly #options: LauncherControlOptions
  #own = false

  constructor(options: LauncherControlOptions) {
    this.#options = options
    this.description = `launcher ${options.id}`
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#ask('start', signal)
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.#ask('stop', signal)
  }

  restart(signal: AbortSignal): Promise<void> {
    return this.#ask('restart', signal)
  }

  async status(signal: AbortSignal): Promise<ProcessStatus> {
    const { client, id, status } = this.#options
    if (status !== undefined) return status(signal)
    try {
      const answer = await client.request('status', id, signal)
      if (answer.result !== 'done') return { state: 'unknown', pid: null, detail: WORDS[answer.result] }
      return { state: answer.state, pid: answer.pid, detail: detailOf(answer) }
    } catch (error) {
      return { state: 'unknown', pid: null, detail: (error as Error).message }
    }
  }

  async close(): Promise<void> {
    if (!this.#own) return
    const limit = AbortSignal.timeout(CLOSING)
    try {
      await this.#ask('stop', limit)
    } catch (error) {
      // A milter may take longer, one of libmilter does; the launcher goes on with it.
      if (!limit.aborted) throw error
    } finally {
      this.#own = false
    }
  }

  async #ask(action: Action, signal: AbortSignal): Promise<void> {
    const { filter, client, id } = this.#options
    let answer: Answer
    try {
      answer = await client.request(action, id, signal)
    } catch (error) {
      throw launchFailure(filter, action, this.description, (error as Error).message)
    }
    if (answer.own) this.#own = true
    if (answer.result !== 'done') throw this.#refused(action, answer)
  }

  #refused(action: Action, { result, wait }: Answer): HostError {
    const { filter, id, wanted } = this.#options
    if (result === 'unknown-id') return hostError('LAUNCH_UNKNOWN', filter, id, wanted)
    if (result === 'throttled') return hostError('LAUNCH_THROTTLED', filter, this.description, Math.ceil(wait / 1000))
    return launchFailure(filter, action, this.description, WORDS[result])
  }
}

const WORDS: Readonly<Record<Result, string>> = {
  done: 'done',
  'unknown-id': 'its file has no such entry',
  throttled: 'it was started too often',
  busy: 'it is at work on an earlier request for the same',
  unprepared: 'its user, group or a program cannot be used; its log says which',
  'not-started': 'a step before the program failed, or the program ended at once; its log says more',
  'init-failed': 'the init of the system could not do it; its log says more',
}

function detailOf({ own, state, last }: Answer): string {
  if (state === 'running' || !own) return state
  if (last === null) return NEVER
  const [name] = Object.entries(constants.signals).find(([, number]) => number === last.signal) ?? []
  return endingText({ exitCode: last.exit, signalCode: (name as NodeJS.Signals | undefined) ?? null })
}
