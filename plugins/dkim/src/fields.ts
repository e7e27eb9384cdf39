/**
 * The header fields of a message as the bytes that signatures are about: names as typed, values with their leading space,
 * folds as CRLF.
 *
 * Fields are taken from the host one by one and never found again in a block of text, so a field cannot pretend to be two.
 */
import type { HeaderField } from 'milterhost/plugin'

export interface Field {
  /** In lower case, without the white space that some readers accept before the colon. */
  readonly key: string
  readonly casedKey: string
  /** `Name: value` without the line end. */
  readonly line: Buffer
}

export const fieldsOf = (headers: readonly HeaderField[]): Field[] =>
  headers.map(({ name, raw }) => {
    const value = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1')
    const casedKey = name.trim()
    return {
      key: casedKey.toLowerCase(),
      casedKey,
      line: Buffer.from(`${name}:${value.replaceAll(/\r?\n/g, '\r\n')}`, 'latin1'),
    }
  })

/** Text after the colon, one character a byte. */
export function textOf({ line }: Field): string {
  const text = line.toString('latin1')
  return text.slice(text.indexOf(':') + 1)
}
