/**
 * The look-ups of one generation: each entry opened once, however many conditions and filters name it, and closed together.
 *
 * Nothing is shared between generations: a reload that changes a password must not meet an old connection.
 */
import type { Lookup, LookupEntry, LookupEnvironment } from './lookup.ts'

export class OpenedLookups {
  readonly #around: LookupEnvironment
  readonly #opened = new Map<LookupEntry, Promise<Lookup>>()

  constructor(around: LookupEnvironment) {
    this.#around = around
  }

  /** Rejects with a coded error when the entry cannot be made ready; the same promise for the same entry. */
  open<T>(entry: LookupEntry<T>): Promise<Lookup<T>> {
    let opened = this.#opened.get(entry)
    if (opened === undefined) {
      opened = entry.open(this.#around)
      this.#opened.set(entry, opened)
    }
    return opened as Promise<Lookup<T>>
  }

  /** Those that could be opened. */
  async all(): Promise<readonly Lookup[]> {
    const settled = await Promise.allSettled(this.#opened.values())
    return settled.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  }

  /** Errors are logged: whoever closes has nothing left to do about them. */
  async close(): Promise<void> {
    await Promise.all(
      (await this.all()).map(async lookup => {
        try {
          await lookup.close()
        } catch (error) {
          this.#around.log.error({ lookup: lookup.name, error }, 'a look-up did not close cleanly')
        }
      }),
    )
  }
}
