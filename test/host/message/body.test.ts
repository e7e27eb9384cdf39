import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emptyBody, memoryBody, normalizeLines } from '../../../src/host/message/body.ts'
import type { BodyWriter } from '../../../src/host/message/snapshot.ts'

function collector(): BodyWriter {
  const pieces: Buffer[] = []
  return {
    write: chunk => {
      pieces.push(Buffer.from(chunk))
    },
    finish: () => memoryBody(pieces),
    discard: () => {},
  }
}

function normalized(...chunks: string[]): string {
  const writer = normalizeLines(collector())
  for (const chunk of chunks) writer.write(Buffer.from(chunk, 'latin1'))
  const body = writer.finish()
  if (body instanceof Promise) throw new Error('a collector never waits')
  return Buffer.concat(body.memory ?? []).toString('latin1')
}

describe('line ends of a replacement body', () => {
  test.each([
    ['a\r\nb\r\n', 'a\r\nb\r\n'],
    ['a\nb\n', 'a\r\nb\r\n'],
    ['\n', '\r\n'],
    ['\n\n', '\r\n\r\n'],
    ['a\r\n\nb\n\r\n', 'a\r\n\r\nb\r\n\r\n'],
    ['a\rb\r\n', 'a\rb\r\n'],
    ['a\r\r\n', 'a\r\r\n'],
    ['a', 'a\r\n'],
    ['a\r', 'a\r\r\n'],
    ['', ''],
  ])('of %j are %j', (given, want) => {
    expect(normalized(given)).toBe(want)
  })

  test('are the same however the body is cut, CR and LF apart included', () => {
    const text = fc.string({ unit: fc.constantFrom('\r', '\n', 'a', '\r\n', 'é') })
    fc.assert(
      fc.property(text, fc.array(fc.nat(20)), (body, cuts) => {
        const chunks: string[] = []
        let rest = body
        for (const cut of cuts) {
          chunks.push(rest.slice(0, cut))
          rest = rest.slice(cut)
        }
        expect(normalized(...chunks, rest)).toBe(normalized(body))
      }),
    )
  })

  test('are never a bare LF, and nothing but CR and a last line end is added', () => {
    const text = fc.string({ unit: fc.constantFrom('\r', '\n', 'a', '\r\n', 'é') })
    fc.assert(
      fc.property(text, body => {
        const out = normalized(body)
        expect(out).not.toMatch(/(?<!\r)\n/)
        expect(out === '' || out.endsWith('\r\n')).toBe(true)
        const bare = (s: string): string => s.replaceAll(/\r*\n/g, '\n')
        expect([bare(body), `${bare(body)}\n`, `${bare(`${body}\n`)}`]).toContain(bare(out))
      }),
    )
  })

  test('wait for the writer behind them before the last line end is added', async () => {
    const order: string[] = []
    const slow: BodyWriter = {
      write: async chunk => {
        await null
        order.push(Buffer.from(chunk).toString('latin1'))
      },
      finish: () => {
        order.push('finish')
        return emptyBody
      },
      discard: () => {},
    }
    const writer = normalizeLines(slow)
    await writer.write(Buffer.from('a'))
    await writer.finish()
    expect(order).toEqual(['a', '\r\n', 'finish'])
  })
})

test('a body in memory is given out in pieces of at most one packet, without empty ones', () => {
  const body = memoryBody([Buffer.alloc(0), Buffer.alloc(70_000, 'x'), Buffer.from('y')])
  expect(body.size).toBe(70_001)
  expect(body.memory?.map(piece => piece.length)).toEqual([65_535, 4465, 1])
  expect([...(body.chunks() as Iterable<Buffer>)]).toHaveLength(3)
})

test('the empty body has no pieces', () => {
  expect(emptyBody).toMatchObject({ size: 0, memory: [] })
})
