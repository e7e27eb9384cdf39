/**
 * What a plugin changes in a message: checked at the call, gathered, and made into the edits that every filter speaks.
 *
 * Order of the calls matters only among prepended fields and among appended ones. Changes and removals come out first,
 * counted on the message as the plugin was shown it, then what is inserted, so that no call moves what another one means.
 * Of two changes to one field the later counts, as of two bodies or two senders.
 */
import { type ByteString, decodeText, encodeText } from '../bytes.ts'
import { hostError } from '../errors.ts'
import { AT_END, type Edit } from '../message/edit.ts'
import type { BodyWriter } from '../message/snapshot.ts'
import type { Address } from './address.ts'
import { type BodyContent, writeBody } from './body-text.ts'
import type { HeaderField, ShownHeaders } from './header.ts'
import type { Steps } from './maybe.ts'
import { addressFault, controlFault, headerNameFault, headerValueFault } from './rules.ts'

/**
 * Changes to the message, only on the `end` event. They are made when the hook's verdict keeps the message, together
 * with those of all other filters. Each throws `PLUGIN_ARGUMENT` for something that must not be sent.
 *
 * Header values are text (sent as UTF-8) or exact bytes. A value is folded by a line feed and a space, never by a CR.
 */
export interface Edits {
  /** Puts a field on top of the message, above the MTA's own `Received`. Of several the last call is on top. */
  prependHeader(name: string, value: string | Uint8Array): void
  /** Puts a field after all others, in the order of the calls. */
  appendHeader(name: string, value: string | Uint8Array): void
  /** Gives a field of `event.headers` another value, in its place. */
  replaceHeader(field: HeaderField, value: string | Uint8Array): void
  /**
   * Takes a field of `event.headers` away.
   * @example for (const field of event.headerAll('X-Spam')) event.edit.removeHeader(field)
   */
  removeHeader(field: HeaderField): void
  /**
   * Replaces the body (what follows the blank line) by text, bytes, or an async iterable of either, which is read when
   * the hook has returned. Line feeds become CRLF. MIME fields in the header are yours to keep right.
   */
  replaceBody(content: BodyContent): void
  /** Changes the envelope sender: `user@example.org`, with or without angle brackets; empty for the null sender. */
  sender(address: string | Address): void
  addRecipient(address: string | Address): void
  /** Does nothing if there is no such recipient. */
  removeRecipient(address: string | Address): void
}

export class EditRecorder implements Edits {
  readonly #plugin: string
  readonly #headers: ShownHeaders
  /** Says no to an edit that comes when it cannot count any more. */
  readonly #late: (call: string) => void
  readonly #changes = new Map<HeaderField, Edit>()
  readonly #prepended: Edit[] = []
  readonly #appended: Edit[] = []
  readonly #recipients: Edit[] = []
  #body: BodyContent | null = null
  #sender: Edit | null = null
  #open = true

  constructor(plugin: string, headers: ShownHeaders, late: (call: string) => void) {
    this.#plugin = plugin
    this.#headers = headers
    this.#late = late
  }

  prependHeader(name: string, value: string | Uint8Array): void {
    const call = 'edit.prependHeader'
    if (!this.#takes(call)) return
    this.#prepended.push({
      kind: 'insertHeader',
      index: 0,
      name: this.#name(call, name),
      value: this.#value(call, value),
    })
  }

  appendHeader(name: string, value: string | Uint8Array): void {
    const call = 'edit.appendHeader'
    if (!this.#takes(call)) return
    this.#appended.push({
      kind: 'insertHeader',
      index: AT_END,
      name: this.#name(call, name),
      value: this.#value(call, value),
    })
  }

  replaceHeader(field: HeaderField, value: string | Uint8Array): void {
    const call = 'edit.replaceHeader'
    if (!this.#takes(call)) return
    const place = this.#place(call, field)
    const bytes = this.#value(call, value)
    // On the wire a change to an empty value is a removal.
    if (bytes.trim() === '') this.#refuse(call, 'the value is empty; edit.removeHeader takes a field away')
    this.#changes.set(field, { kind: 'changeHeader', ...place, value: bytes })
  }

  removeHeader(field: HeaderField): void {
    const call = 'edit.removeHeader'
    if (!this.#takes(call)) return
    this.#changes.set(field, { kind: 'removeHeader', ...this.#place(call, field) })
  }

  replaceBody(content: BodyContent): void {
    const call = 'edit.replaceBody'
    if (!this.#takes(call)) return
    const usable =
      typeof content === 'string' ||
      content instanceof Uint8Array ||
      (typeof content === 'object' && content !== null && Symbol.asyncIterator in content)
    if (!usable) this.#refuse(call, 'the content is not text, bytes or an async iterable of them')
    // Bytes are copied: the hook's author may use the buffer again.
    this.#body = content instanceof Uint8Array ? Uint8Array.from(content) : content
  }

  sender(address: string | Address): void {
    if (!this.#takes('edit.sender')) return
    this.#sender = { kind: 'changeSender', address: this.#address('edit.sender', address, true), args: '' }
  }

  addRecipient(address: string | Address): void {
    if (!this.#takes('edit.addRecipient')) return
    this.#recipients.push({
      kind: 'addRecipient',
      address: this.#address('edit.addRecipient', address, false),
      args: '',
    })
  }

  removeRecipient(address: string | Address): void {
    if (!this.#takes('edit.removeRecipient')) return
    this.#recipients.push({
      kind: 'removeRecipient',
      address: this.#address('edit.removeRecipient', address, false),
    })
  }

  /** No edit counts from now on. */
  close(): void {
    this.#open = false
  }

  *compile(newBody: () => BodyWriter, signal: AbortSignal): Steps<readonly Edit[]> {
    const edits: Edit[] = [...this.#changes.values(), ...this.#prepended, ...this.#appended]
    if (this.#sender !== null) edits.push(this.#sender)
    edits.push(...this.#recipients)
    if (this.#body === null) return edits
    edits.push({ kind: 'replaceBody', body: yield* writeBody(this.#body, newBody(), signal) })
    return edits
  }

  #takes(call: string): boolean {
    if (!this.#open) this.#late(call)
    return this.#open
  }

  #refuse(call: string, what: string): never {
    throw hostError('PLUGIN_ARGUMENT', this.#plugin, call, what)
  }

  #name(call: string, name: unknown): ByteString {
    const fault = typeof name === 'string' ? headerNameFault(name) : 'the name is not a string'
    return fault === null ? (name as string) : this.#refuse(call, fault)
  }

  /** Everything after the colon: a value without a leading blank gets its space. */
  #value(call: string, value: unknown): ByteString {
    if (typeof value !== 'string' && !(value instanceof Uint8Array))
      this.#refuse(call, 'the value is not text or bytes')
    const bytes = encodeText(value)
    const fault = headerValueFault(bytes)
    if (fault !== null) this.#refuse(call, fault)
    return /^[ \t\n]/.test(bytes) ? bytes : ` ${bytes}`
  }

  #place(call: string, field: unknown): { readonly name: ByteString; readonly occurrence: number } {
    return this.#headers.placeOf(field) ?? this.#refuse(call, 'the field is not one of event.headers of this message')
  }

  #address(call: string, address: unknown, mayBeNull: boolean): ByteString {
    // An address of this message goes back as the client gave it, however odd: the MTA knows it by these bytes.
    const given = typeof address === 'object' && address !== null && 'raw' in address ? address.raw : address
    if (typeof given !== 'string' && !(given instanceof Uint8Array)) this.#refuse(call, 'the address is not a string')
    const bytes = encodeText(given)
    const inner = bytes.startsWith('<') && bytes.endsWith('>') ? bytes.slice(1, -1) : bytes
    const fault =
      inner === '' && !mayBeNull ? 'is empty' : typeof given === 'string' ? addressFault(inner) : controlFault(inner)
    if (fault !== null) this.#refuse(call, `the address ${JSON.stringify(decodeText(bytes))} ${fault}`)
    return `<${inner}>`
  }
}
