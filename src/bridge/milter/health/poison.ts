/**
 * Messages under which an external milter went away, so that one which does it again is not fed to it a third time.
 *
 * A message is known by its sender, its Message-ID, Date, From and Subject, and the size of its body: what stays the same when the
 * client sends it again, and costs little to compare. Messages that were merely at work in the milter at that moment are
 * noted with it; the next time they pass they are forgotten. The table is bounded: the oldest go first.
 *
 * The session asks before it feeds a message; while nothing is noted, that is one comparison.
 */
import { createHash } from 'node:crypto'
import type { MessageSnapshot } from '../../../host/message/snapshot.ts'

/** Losses before it is kept away. */
const MOST_LOSSES = 2
/** Milliseconds from the last loss. */
export const KEPT_AWAY: number = 15 * 60_000
const MOST_NOTED = 1_000
const FIELDS = /^(?:message-id|date|from|subject)$/i

interface Note {
  losses: number
  until: number
}

export class Poison {
  readonly #notes = new Map<string, Note>()

  /** Nothing was lost lately. */
  get isEmpty(): boolean {
    return this.#notes.size === 0
  }

  /** Whether the message is to be kept away. `now`: monotonic milliseconds. */
  isPoison(message: MessageSnapshot, now: number): boolean {
    if (this.isEmpty) return false
    const identity = identityOf(message)
    const note = this.#notes.get(identity)
    if (note === undefined) return false
    if (note.until <= now) this.#notes.delete(identity)
    return note.until > now && note.losses >= MOST_LOSSES
  }

  /** The milter went away while it had the message. */
  lost(message: MessageSnapshot, now: number): void {
    const identity = identityOf(message)
    const known = this.#notes.get(identity)
    const note = known === undefined || known.until <= now ? { losses: 0, until: 0 } : known
    note.losses += 1
    note.until = now + KEPT_AWAY
    // Noted anew, so that the first of the map stays the oldest.
    this.#notes.delete(identity)
    this.#notes.set(identity, note)
    for (const [oldest, { until }] of this.#notes) {
      if (until > now && this.#notes.size <= MOST_NOTED) break
      this.#notes.delete(oldest)
    }
  }

  /** The milter answered it. */
  passed(message: MessageSnapshot): void {
    if (!this.isEmpty) this.#notes.delete(identityOf(message))
  }
}

function identityOf({ sender, headers, body }: MessageSnapshot): string {
  const hash = createHash('sha256').update(`${sender.raw}\0${body.size}`, 'latin1')
  for (const { name, value } of headers) {
    if (FIELDS.test(name)) hash.update(`\0${name.toLowerCase()}:${value.trim()}`, 'latin1')
  }
  return hash.digest('base64')
}
