/**
 * The one error of the wire codec. It says that bytes which arrived, or values that were to be sent, break the milter
 * protocol; it never means a fault of the network. Every error has a code from `wireErrors`, and its message is the
 * template of that code with the values filled in. Text that came from a peer is shown quoted with controls escaped, so a
 * message is always one printable line.
 */

export const wireErrors = {
  WIRE_LENGTH_ZERO: 'packet of length 0: the length counts the command byte, so 1 is the least',
  WIRE_LENGTH_OVER: '{packet}: {length} bytes announced, the limit is {limit}',
  WIRE_UNKNOWN_COMMAND: 'unknown command {packet}',
  WIRE_UNKNOWN_REPLY: 'unknown reply {packet}',
  WIRE_SHORT: '{packet}: {field} needs {need} bytes, {have} left',
  WIRE_UNTERMINATED: '{packet}: {field} has no final NUL',
  WIRE_FAMILY: "{packet}: unknown address family {family}, expected '4', '6', 'L' or 'U'",
  WIRE_UNSENDABLE_TEXT: '{packet}: {field} holds a NUL or a character above U+00FF: {text}',
  WIRE_UNSENDABLE_NUMBER: '{packet}: {field} is {value}, outside 0 to {limit}',
  WIRE_VERSION: 'protocol version {version} {problem}, this side speaks {least} to {most}',
  WIRE_ACTIONS_BEYOND_OFFER: 'actions {excess} were asked for but never offered (offered: {offered})',
  WIRE_REPLY_TEXT: 'SMTP reply refused: {why}',
  WIRE_NAME: 'unknown name {name} in {text}, expected one of {known}',
  WIRE_ADDRESS_SCHEME: 'socket address {text}: {why}; write {hint}',
  WIRE_ADDRESS_PORT: 'socket address {text}: {why}; write {hint}',
  WIRE_ADDRESS_HOST: 'socket address {text}: {why}; write {hint}',
  WIRE_ADDRESS_PATH: 'socket address {text}: {why}; {hint}',
} as const

export type WireErrorCode = keyof typeof wireErrors

export class WireError extends Error {
  override readonly name: string = 'WireError'
  readonly code: WireErrorCode
  readonly values: Readonly<Record<string, string | number>>

  constructor(code: WireErrorCode, values: Readonly<Record<string, string | number>> = {}) {
    super(wireErrors[code].replace(/\{(\w+)\}/g, (whole, key: string) => String(values[key] ?? whole)))
    this.code = code
    this.values = values
  }
}

/** A peer's text for a message: quoted, controls and 8-bit bytes escaped, cut after `most` characters. */
export function quoted(text: string, most = 80): string {
  const cut = text.length > most ? `${text.slice(0, most)}…` : text
  const safe = cut.replace(/[\\"]/g, '\\$&').replace(/[\x00-\x1f\x7f-\xff]/g, byteEscape)
  return `"${safe}"`
}

function byteEscape(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`
}
