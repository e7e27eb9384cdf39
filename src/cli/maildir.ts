/**
 * Mail that arrives in a Maildir while scenarios are played through an MTA.
 *
 * Only what was not there when it was opened counts. It is read, never moved. An MTA's envelope is not in the file, so none is told.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostError } from '../host/errors.ts'
import { type DeliveredMessage, shownMessage } from '../testing/delivery.ts'
import { parseMessage } from './message-file.ts'

const PATIENCE = 10_000
const POLL = 50

export class Maildir {
  readonly #folder: string
  readonly #known: Set<string>

  /** Throws when the folder has no `new`. */
  constructor(folder: string) {
    this.#folder = join(folder, 'new')
    this.#known = new Set(this.#list())
  }

  /** The message with that Message-ID; waits up to ten seconds for it, `null` when it does not come. */
  async arrived(messageId: string): Promise<DeliveredMessage | null> {
    for (let waited = 0; ; waited += POLL) {
      for (const name of this.#list()) {
        if (this.#known.has(name)) continue
        const message = this.#read(name)
        if (message.header('message-id') !== messageId) continue
        this.#known.add(name)
        return message
      }
      if (waited >= PATIENCE) return null
      await new Promise(resolve => setTimeout(resolve, POLL))
    }
  }

  #list(): string[] {
    try {
      return readdirSync(this.#folder)
    } catch (error) {
      throw hostError('SCENARIO_UNREADABLE', this.#folder, (error as Error).message)
    }
  }

  #read(name: string): DeliveredMessage {
    const file = parseMessage(readFileSync(join(this.#folder, name)))
    return shownMessage(file.headers, file.body, { sender: '', recipients: [] })
  }
}
