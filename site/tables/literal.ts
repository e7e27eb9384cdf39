/** Defaults that are written as a value, and not in words. */

export const LITERAL: RegExp = /^('[^']*'|0o[0-7]+|[\d.]+|true|false|\[\])$/

/** The value of such a text. */
export const valueIn = (literal: string): unknown =>
  literal.startsWith("'") ? literal.slice(1, -1) : literal.startsWith('0o') ? Number(literal) : JSON.parse(literal)
