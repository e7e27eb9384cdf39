/**
 * A daemon as a process: what signals do to it, and errors that no hook was there to catch.
 *
 * SIGTERM and SIGINT drain and end, a second one ends at once; SIGUSR1 does nothing. An error that escapes from a plugin is logged and
 * serving goes on: ending would cut every message in work, of the other filters too. Used by `milterhost run` and by `serve`.
 */
import type { Daemon } from '../daemon.ts'
import { hostError } from '../host/errors.ts'
import type { LevelledLogger } from '../host/observe/output.ts'

/** Returns what takes it back. */
export function keepServing(log: LevelledLogger): () => void {
  const tell = (error: unknown): void => {
    const what = error instanceof Error ? error.message : String(error)
    const { code, message } = hostError('UNCAUGHT', what)
    log.error({ code, error }, message)
  }
  // Without a listener Node opens its debugger, and with it this process, to whoever may connect.
  const debuggerAsked = (): void => log.warn({}, 'SIGUSR1 does nothing here')
  process.on('SIGUSR1', debuggerAsked)
  process.on('uncaughtException', tell)
  process.on('unhandledRejection', tell)
  return () => {
    process.off('SIGUSR1', debuggerAsked)
    process.off('uncaughtException', tell)
    process.off('unhandledRejection', tell)
  }
}

export interface EndOptions {
  /** Resolves when somebody else asks for the end, with the milliseconds that running messages get. */
  readonly asked: Promise<number>
  /** What running messages get after a signal, milliseconds. */
  readonly patience: number
  /** Signals are listened to until the end. @default true */
  readonly signals?: boolean
  /** Called once, when the end begins. */
  readonly begins?: () => void
}

/** Resolves when the daemon has ended: by a signal, or because it was asked to. */
export function untilEnded(daemon: Daemon, log: LevelledLogger, options: EndOptions): Promise<void> {
  const { asked, patience, signals = true, begins } = options
  const { promise, resolve } = Promise.withResolvers<void>()
  let ending = false
  let ended = false
  const end = (signal: NodeJS.Signals | 'drain', milliseconds: number): void => {
    if (ended) return
    if (ending) {
      log.warn({ signal }, 'ending at once')
      daemon.close().finally(resolve)
      return
    }
    ending = true
    begins?.()
    log.info({ signal, sessions: daemon.sessions }, 'ending when the running messages are done')
    daemon
      .drain(milliseconds)
      .then(
        () => log.info({}, 'ended'),
        error => log.error({ error }, 'did not end cleanly'),
      )
      .finally(resolve)
  }
  const signalled = (signal: NodeJS.Signals): void => end(signal, patience)
  if (signals) for (const signal of ENDING) process.on(signal, signalled)
  void asked.then(milliseconds => end('drain', milliseconds))
  return promise.finally(() => {
    ended = true
    for (const signal of ENDING) process.off(signal, signalled)
  })
}

const ENDING = ['SIGTERM', 'SIGINT'] as const
