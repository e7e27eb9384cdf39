import { describe, expect, it } from 'vitest'
import { quoted, WireError, type WireErrorCode, wireErrors } from '../../../src/bridge/wire/index.ts'

describe('WireError', () => {
  it('has a code of the table and the filled-in template as its message', () => {
    const error = new WireError('WIRE_SHORT', { packet: 'X', field: 'port', need: 2, have: 0 })
    expect(error).toMatchObject({ name: 'WireError', code: 'WIRE_SHORT', message: 'X: port needs 2 bytes, 0 left' })
  })

  it('has codes that start with WIRE_', () => {
    for (const code of Object.keys(wireErrors) as WireErrorCode[]) expect(code).toMatch(/^WIRE_[A-Z_]+$/)
  })

  it('fills in a text that looks like a placeholder as it is', () => {
    const error = new WireError('WIRE_REPLY_TEXT', { why: '{why} $& {text}' })
    expect(error.message).toBe('SMTP reply refused: {why} $& {text}')
  })
})

describe('quoted', () => {
  it('makes a peer’s bytes one printable line', () => {
    expect(quoted('a"b\\\r\n\x1b[31m\xff')).toBe('"a\\"b\\\\\\x0d\\x0a\\x1b[31m\\xff"')
  })

  it('cuts a long text and says so', () => {
    expect(quoted('x'.repeat(1000), 5)).toBe('"xxxxx…"')
  })
})
