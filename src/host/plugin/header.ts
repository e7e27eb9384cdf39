/**
 * Header fields as a plugin sees them: a readable value and the exact bytes.
 *
 * A field is also the handle for changing or removing it: which occurrence of its name it is, is counted on the message as this
 * plugin was shown it.
 */
import { bytesOf, decodeText } from '../bytes.ts'
import type { HeaderField as StoredField } from '../message/snapshot.ts'

/** A header field of the message. */
export interface HeaderField {
  /** As typed. Compare without case, or use `event.header(name)`. */
  readonly name: string
  /** Unfolded, trimmed, UTF-8 decoded. Encoded words (`=?utf-8?…?=`) are left as they are. */
  readonly value: string
  /** All bytes after the colon, with the leading space; folds are LF and white space. */
  readonly raw: Uint8Array
}

class ShownField implements HeaderField {
  readonly #stored: StoredField
  #value: string | null = null

  constructor(stored: StoredField) {
    this.#stored = stored
  }

  get name(): string {
    return this.#stored.name
  }

  get value(): string {
    this.#value ??= decodeText(this.#stored.value.replace(/\r?\n(?=[ \t])/g, '')).trim()
    return this.#value
  }

  get raw(): Uint8Array {
    return bytesOf(this.#stored.value)
  }
}

/** Where a field stands: its name as stored, and the how manyeth of that name it is, from 1. */
export interface Place {
  readonly name: string
  readonly occurrence: number
}

/** The header fields of one message as one plugin is shown them. */
export class ShownHeaders {
  readonly fields: readonly HeaderField[]
  readonly #stored: readonly StoredField[]
  #places: Map<unknown, Place> | null = null

  constructor(stored: readonly StoredField[]) {
    this.#stored = stored
    this.fields = Object.freeze(stored.map(field => new ShownField(field)))
  }

  first(name: string): HeaderField | undefined {
    const wanted = name.toLowerCase()
    return this.fields.find(field => field.name.toLowerCase() === wanted)
  }

  all(name: string): readonly HeaderField[] {
    const wanted = name.toLowerCase()
    return this.fields.filter(field => field.name.toLowerCase() === wanted)
  }

  /** `undefined` for anything that is not a field of this message. */
  placeOf(field: unknown): Place | undefined {
    if (this.#places === null) {
      this.#places = new Map()
      const seen = new Map<string, number>()
      for (const [index, { name }] of this.#stored.entries()) {
        const key = name.toLowerCase()
        const occurrence = (seen.get(key) ?? 0) + 1
        seen.set(key, occurrence)
        this.#places.set(this.fields[index], { name, occurrence })
      }
    }
    return this.#places.get(field)
  }
}
