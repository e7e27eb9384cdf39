import { describe, expect, test } from 'vitest'
import { Poison } from '../../../../src/bridge/milter/health/poison.ts'
import { memoryBody } from '../../../../src/host/message/body.ts'
import type { MessageSnapshot } from '../../../../src/host/message/snapshot.ts'

interface Given {
  sender?: string
  fields?: [string, string][]
  body?: string
}

const message = ({ sender = '<a@example.com>', fields = [['Message-ID', ' <1@x>']], body = 'x' }: Given = {}) =>
  ({
    id: 'whatever',
    sender: { raw: sender, args: [] },
    recipients: [],
    headers: fields.map(([name, value], id) => ({ id, name, value })),
    body: memoryBody([Buffer.from(body)]),
  }) satisfies MessageSnapshot

const MINUTE = 60_000

describe('a message under which the milter went away', () => {
  test('once may try again, twice is kept away for 15 minutes', () => {
    const poison = new Poison()
    expect(poison.isEmpty).toBe(true)
    poison.lost(message(), 0)
    expect(poison.isPoison(message(), 1)).toBe(false)
    poison.lost(message(), MINUTE)
    expect(poison.isPoison(message(), 16 * MINUTE - 1)).toBe(true)
    expect(poison.isPoison(message(), 16 * MINUTE)).toBe(false)
    expect(poison.isEmpty).toBe(true)
  })

  test('is known again with another id, trace and order of recipients, and with fields in another case', () => {
    const poison = new Poison()
    for (const n of [1, 2]) {
      const fields: [string, string][] = [
        ['Received', ` by hop ${n}`],
        [n === 1 ? 'Message-ID' : 'message-id', ' <1@x>'],
      ]
      poison.lost({ ...message({ fields }), id: `m${n}` }, n)
    }
    expect(poison.isPoison(message(), 3)).toBe(true)
  })

  test.each<[string, Given]>([
    ['of another sender', { sender: '<b@example.com>' }],
    ['with another Message-ID', { fields: [['Message-ID', ' <2@x>']] }],
    ['with another subject', { fields: [['Message-ID', ' <1@x>'], ['Subject', ' hi']] }], // biome-ignore format: one line
    ['of another size', { body: 'xy' }],
  ])('is another one than one %s', (_what, given) => {
    const poison = new Poison()
    poison.lost(message(), 0)
    poison.lost(message(), 0)
    expect(poison.isPoison(message(given), 1)).toBe(false)
  })

  test('that passes after all is forgotten', () => {
    const poison = new Poison()
    poison.lost(message(), 0)
    poison.passed(message())
    poison.lost(message(), 0)
    expect(poison.isPoison(message(), 1)).toBe(false)
  })

  test('is counted anew when the first time is 15 minutes past', () => {
    const poison = new Poison()
    poison.lost(message(), 0)
    poison.lost(message(), 15 * MINUTE)
    expect(poison.isPoison(message(), 15 * MINUTE)).toBe(false)
  })

  test('is forgotten for newer ones when a thousand are noted', () => {
    const poison = new Poison()
    const other = (n: number): MessageSnapshot => message({ fields: [['Message-ID', ` <other ${n}@x>`]] })
    poison.lost(message(), 0)
    for (let n = 0; n < 1_000; n++) poison.lost(other(n), 1)
    poison.lost(message(), 2)
    expect(poison.isPoison(message(), 3)).toBe(false)
    poison.lost(other(999), 4)
    expect(poison.isPoison(other(999), 5)).toBe(true)
  })
})
