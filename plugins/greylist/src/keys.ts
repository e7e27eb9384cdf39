/**
 * The hashes under which a store remembers, made from what mail says and a secret of the site.
 *
 * Keyed, because a bare hash of an IPv4 address is undone by trying all of them. What always holds: the same text and secret
 * give the same key in every process and release, so that stores can be shared, exported and merged. The engine and the
 * command's import call it.
 */
import { createHmac } from 'node:crypto'
import type { ItemKey, OriginKey } from './store.ts'

const ORIGIN_BYTES = 12
const ITEM_BYTES = 8

export class Keys {
  readonly #secret: Uint8Array

  /** `secret`: any text or bytes of the site; the same wherever one store is used. */
  constructor(secret: Uint8Array | string) {
    this.#secret = typeof secret === 'string' ? Buffer.from(secret) : secret
  }

  /** `origin`: its text form with its kind, as `origin.ts` makes it: `d:example.org`, `n:192.0.2.0/24`. */
  origin(origin: string): OriginKey {
    return this.#hash(`origin\0${origin}`, ORIGIN_BYTES)
  }

  /** `domain`: the sender's, in lower case; empty for the null sender. */
  domain(domain: string): ItemKey {
    return this.#hash(`domain\0${domain}`, ITEM_BYTES)
  }

  /** `sender` and `recipient` as `sender.ts` makes them. */
  tuple(sender: string, recipient: string): ItemKey {
    return this.#hash(`tuple\0${sender}\0${recipient}`, ITEM_BYTES)
  }

  /** A number from 0 to 1 that is always the same for the same keys, and that a client cannot foresee. */
  share(origin: OriginKey, domain: ItemKey): number {
    return ((origin[0]! ^ domain[0]!) * 256 + (origin[1]! ^ domain[1]!)) / 65_535
  }

  #hash(text: string, bytes: number): Uint8Array {
    return createHmac('sha256', this.#secret).update(text).digest().subarray(0, bytes)
  }
}
