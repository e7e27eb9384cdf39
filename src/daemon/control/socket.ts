/**
 * The control socket as the configuration wants it: where, or not at all; another place after a reload.
 *
 * A socket that the configuration names must be had, or the configuration is refused. The default place may belong to another daemon of the
 * same user: then this one says so and serves mail without it, and tries again at the next reload. A new place is opened
 * before the old one is given up. The daemon owns one of these.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Settings } from '../../host/config/settings.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import type { ControlRequest } from './protocol.ts'
import { type ControlServer, openControlServer } from './server.ts'

export interface ControlSocketOptions {
  /** Where it is unless the configuration says so. */
  readonly place: string
  readonly clock: Clock
  readonly log: Logger
  handle(request: ControlRequest): Promise<object>
}

/** A change that is prepared: exactly one of the two is called. */
export interface ControlChange {
  commit(): void
  cancel(): void
}

export class ControlSocket {
  readonly #options: ControlSocketOptions
  #open: ControlServer | null = null

  constructor(options: ControlSocketOptions) {
    this.#options = options
  }

  /** Throws a coded error when a socket that the configuration names cannot be had. */
  async prepare(wanted: Settings['control']): Promise<ControlChange> {
    const path = wanted === null ? null : (wanted.socket ?? this.#options.place)
    if (path === (this.#open?.path ?? null)) return { commit() {}, cancel() {} }
    const next = path === null ? null : await this.#bind(path, wanted?.socket == null)
    return {
      commit: () => {
        this.#open?.close()
        this.#open = next
      },
      cancel: () => next?.close(),
    }
  }

  close(): void {
    this.#open?.close()
    this.#open = null
  }

  async #bind(path: string, isDefault: boolean): Promise<ControlServer | null> {
    const { clock, log, handle } = this.#options
    try {
      // MTAs pass through the same folder to the milter's own socket; this one is kept by its mode.
      if (isDefault) mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
      return await openControlServer({ path, clock, log, handle })
    } catch (error) {
      if (!isDefault) throw error
      const { code, message } = error as { readonly code?: string; readonly message: string }
      log.warn({ code }, `commands such as milterhost status will not find this daemon: ${message}`)
      return null
    }
  }
}
