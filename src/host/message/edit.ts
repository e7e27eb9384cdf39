/**
 * What a filter may change, as values.
 *
 * The kinds are those of the milter protocol, since both MTAs speak no other: a header is named by its occurrence or
 * placed by an index. What an index means differs between the MTAs; `HeaderRules` says which reading a filter was written
 * for, and `apply.ts` and `batch.ts` do the rest. Values are exact bytes after the colon, leading space included.
 */
import type { ByteString } from '../bytes.ts'
import type { Body } from './snapshot.ts'

export type Edit =
  /** At the end (Postfix), or before the first of that name (Sendmail). */
  | { readonly kind: 'addHeader'; readonly name: ByteString; readonly value: ByteString }
  /** 0 is above the MTA's own Received line, 1 directly below it, `AT_END` after all others. */
  | { readonly kind: 'insertHeader'; readonly index: number; readonly name: ByteString; readonly value: ByteString }
  /** The nth of that name, counted from 1 (0 means 1). None such: added. */
  | {
      readonly kind: 'changeHeader'
      readonly occurrence: number
      readonly name: ByteString
      readonly value: ByteString
    }
  /** The nth of that name, counted from 1. None such: nothing happens. */
  | { readonly kind: 'removeHeader'; readonly occurrence: number; readonly name: ByteString }
  | { readonly kind: 'replaceBody'; readonly body: Body }
  /** `args` are ESMTP parameters in one string, empty for none. Postfix takes NOTIFY and ORCPT. */
  | { readonly kind: 'addRecipient'; readonly address: ByteString; readonly args: ByteString }
  | { readonly kind: 'removeRecipient'; readonly address: ByteString }
  | { readonly kind: 'changeSender'; readonly address: ByteString; readonly args: ByteString }
  | { readonly kind: 'quarantine'; readonly reason: ByteString }

export type EditKind = Edit['kind']

export const EDIT_KINDS: readonly EditKind[] = [
  'addHeader',
  'insertHeader',
  'changeHeader',
  'removeHeader',
  'replaceBody',
  'addRecipient',
  'removeRecipient',
  'changeSender',
  'quarantine',
]

/** An index beyond any message's headers: appends on both MTAs. */
export const AT_END = 0x7fff_ffff

/**
 * How a filter counts headers while it edits.
 * `sendmail`: removed headers still count until its edits are done, an added one goes before the first of its name.
 * `postfix`: removal renumbers at once, an added one goes to the end.
 */
export type HeaderRules = 'sendmail' | 'postfix'
