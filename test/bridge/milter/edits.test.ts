import { describe, expect, test } from 'vitest'
import type { Edit } from '../../../src/host/message/edit.ts'
import { CONTINUE } from '../../../src/host/verdict.ts'
import { type RawMilterScript, rawMilter, type Step } from '../../interop/harness/index.ts'
import { codeOf, type FilterSetup, type Play, playAt, readable } from './play.ts'

const LEADING_SPACE = 0x100000

const edited = async (
  steps: Step[],
  script: RawMilterScript = {},
  setup: FilterSetup = {},
): Promise<[unknown[], Play]> => {
  const milter = await rawMilter({ ...script, on: { E: [...steps, 'c'] } })
  const play = await playAt(milter.address, setup).greet()
  const { message } = await play.send()
  expect(message?.verdict).toEqual(CONTINUE)
  expect(play.openBodies).toBe(0)
  return [readable(message!.edits), play]
}

const cases: [what: string, action: number, step: Step, edit: Edit | { kind: 'replaceBody'; body: string }][] = [
  ['ADDHEADER', 0x1, ['h', 'X-A', 'v'], { kind: 'addHeader', name: 'X-A', value: ' v' }],
  ['INSHEADER', 0x1, ['i', 1, 'X-A', 'v'], { kind: 'insertHeader', index: 1, name: 'X-A', value: ' v' }],
  ['CHGHEADER', 0x10, ['m', 2, 'X-A', 'v'], { kind: 'changeHeader', occurrence: 2, name: 'X-A', value: ' v' }],
  ['CHGHEADER empty', 0x10, ['m', 2, 'X-A', ''], { kind: 'removeHeader', occurrence: 2, name: 'X-A' }],
  ['REPLBODY', 0x2, ['b', 'new\r\n'], { kind: 'replaceBody', body: 'new\r\n' }],
  ['ADDRCPT', 0x4, ['+', '<x@y>'], { kind: 'addRecipient', address: '<x@y>', args: '' }],
  ['ADDRCPT_PAR', 0x80, ['2', 'x@y', 'NOTIFY=NEVER'], { kind: 'addRecipient', address: '<x@y>', args: 'NOTIFY=NEVER' }],
  ['ADDRCPT_PAR alone', 0x80, ['2', '<x@y>'], { kind: 'addRecipient', address: '<x@y>', args: '' }],
  ['DELRCPT', 0x8, ['-', 'x@y'], { kind: 'removeRecipient', address: '<x@y>' }],
  ['CHGFROM', 0x40, ['e', 'x@y', 'RET=HDRS'], { kind: 'changeSender', address: '<x@y>', args: 'RET=HDRS' }],
  ['CHGFROM to the null sender', 0x40, ['e', '<>'], { kind: 'changeSender', address: '<>', args: '' }],
  ['QUARANTINE', 0x20, ['q', 'held'], { kind: 'quarantine', reason: 'held' }],
]

describe.each(cases)('%s', (_what, action, step, edit) => {
  test('becomes an edit when it was negotiated', async () => {
    const [edits, play] = await edited([step], { actions: action })
    expect(edits).toEqual([edit])
    expect(play.refused).toEqual([])
  })

  test('is dropped and reported when it was not', async () => {
    const [edits, play] = await edited([step, step], { actions: 0x1ff & ~action })
    expect(edits).toEqual([])
    expect(play.refused).toEqual([['message', expect.stringContaining('was not negotiated')]])
  })
})

describe('the leading space of a value', () => {
  test('is added for a milter that leaves it out', async () => {
    expect((await edited([['h', 'X', ' two']]))[0]).toEqual([{ kind: 'addHeader', name: 'X', value: '  two' }])
  })

  test('is what the milter sends if it negotiated so', async () => {
    const [edits] = await edited(
      [
        ['h', 'X', 'none'],
        ['m', 1, 'X', ' one'],
        ['m', 1, 'X', ''],
      ],
      {
        protocol: LEADING_SPACE,
      },
    )
    expect(edits).toEqual([
      { kind: 'addHeader', name: 'X', value: 'none' },
      { kind: 'changeHeader', occurrence: 1, name: 'X', value: ' one' },
      { kind: 'removeHeader', occurrence: 1, name: 'X' },
    ])
  })
})

describe('a header that would tear the message apart is dropped and reported', () => {
  test.each<[string, string, string]>([
    ['an empty name', '', 'v'],
    ['a colon in the name', 'X:Y', 'v'],
    ['a blank in the name', 'X Y', 'v'],
    ['a line end in the name', 'X\r\nY', 'v'],
    ['an 8-bit byte in the name', 'X\xe9', 'v'],
    ['an LF without a fold', 'X', 'a\nBcc: x@y'],
    ['a CRLF without a fold', 'X', 'a\r\nBcc: x@y'],
    ['a bare CR', 'X', 'a\rb'],
    ['a line end at the end', 'X', 'a\n'],
  ])('%s', async (_what, name, value) => {
    const steps: Step[] = [
      ['h', name, value],
      ['i', 0, name, value],
      ['m', 1, name, value],
      ['h', 'X-Good', 'v'],
    ]
    const [edits, play] = await edited(steps)
    expect(edits).toEqual([{ kind: 'addHeader', name: 'X-Good', value: ' v' }])
    expect(play.refused).toHaveLength(3)
  })

  test('a removal of an impossible name likewise', async () => {
    const [edits, play] = await edited([['m', 1, 'X Y', '']])
    expect([edits, play.refused.length]).toEqual([[], 1])
  })
})

describe('a header that is only unusual passes', () => {
  test.each<[string, string, string]>([
    ['folded with LF', 'a\n b\n\tc', ' a\n b\n\tc'],
    ['folded with CRLF, which loses its CR', 'a\r\n b\r\n\tc', ' a\n b\n\tc'],
    ['longer than 998 bytes', 'x'.repeat(5000), ` ${'x'.repeat(5000)}`],
    ['8-bit', 'caf\xe9 \xc3\xa9', ' caf\xe9 \xc3\xa9'],
  ])('%s', async (_what, value, expected) => {
    expect((await edited([['h', 'X', value]]))[0]).toEqual([{ kind: 'addHeader', name: 'X', value: expected }])
  })

  test.each([0, 0x7fffffff, 0x80000000, 0xffffffff])('with index %i', async index => {
    const [edits] = await edited([
      ['i', index, 'X', 'v'],
      ['m', index, 'X', ''],
    ])
    expect(edits).toEqual([
      { kind: 'insertHeader', index, name: 'X', value: ' v' },
      { kind: 'removeHeader', occurrence: index, name: 'X' },
    ])
  })
})

describe('an address that would break out of its SMTP command is dropped and reported', () => {
  test.each<[string, Step]>([
    ['a recipient with a line end', ['+', '<x@y>\r\nDATA']],
    ['a recipient without an address', ['+', '']],
    ['the null sender as a recipient', ['-', '<>']],
    ['parameters with a line end', ['2', '<x@y>', 'NOTIFY=NEVER\nDATA']],
    ['a sender with a control', ['e', '<x\x01@y>']],
    ['a sender whose parameters have a line end', ['e', '<x@y>', 'RET=HDRS\r\nRCPT TO:<z>']],
  ])('%s', async (_what, step) => {
    const [edits, play] = await edited([step])
    expect([edits, play.refused.length]).toEqual([[], 1])
  })
})

test('a quarantine is kept even if its reason cannot be', async () => {
  expect((await edited([['q', 'a\r\nb']]))[0]).toEqual([{ kind: 'quarantine', reason: 'a b' }])
})

describe('a replacement body', () => {
  test('is one body whatever comes between its pieces, with CRLF at every line end', async () => {
    const steps: Step[] = [['b', 'one\r'], ['h', 'X', 'v'], ['b', '\ntwo\n'], 'p', ['b', 'three']]
    expect((await edited(steps))[0]).toEqual([
      { kind: 'replaceBody', body: 'one\r\ntwo\r\nthree\r\n' },
      { kind: 'addHeader', name: 'X', value: ' v' },
    ])
  })

  test('may be empty', async () => {
    expect((await edited([['b', '']]))[0]).toEqual([{ kind: 'replaceBody', body: '' }])
  })

  test('of 5 MB may come in one packet, as rspamd sends it, and without any reply before the end', async () => {
    const body = `${'x'.repeat(78)}\r\n`.repeat(65_536)
    const answer = {
      negotiate: [['packet', 'O', Buffer.from('00000006000001ff000ff080', 'hex')]],
    } satisfies RawMilterScript
    const [edits, play] = await edited(
      [
        ['b', body],
        ['i', 1, 'X-Spam', 'no'],
      ],
      { ...answer, protocol: 0xff080 },
    )
    expect(edits).toEqual([
      { kind: 'replaceBody', body },
      { kind: 'insertHeader', index: 1, name: 'X-Spam', value: ' no' },
    ])
    expect(play.refused).toEqual([])
  })

  test('in one packet beyond the limit of a body is a failure', async () => {
    const milter = await rawMilter({ on: { E: [['b', 'x'.repeat(3000)], 'c'] } })
    const play = await playAt(milter.address, { limits: { body: 2000, edits: 100 } }).greet()
    expect(await codeOf(play.send())).toBe('MILTER_PROTOCOL')
  })
})

describe('the number of edits', () => {
  const many = (count: number): Step[] =>
    Array.from({ length: count }, (_, i) => ['h', `X-${i}`, 'v'] as const) as Step[]

  test('of 10,000 is taken, in order', async () => {
    const [edits] = await edited(many(10_000))
    expect(edits).toHaveLength(10_000)
    expect(edits[9_999]).toMatchObject({ name: 'X-9999' })
  })

  test('beyond limits.edits fails the milter', async () => {
    const milter = await rawMilter({ on: { E: [...many(11), 'c'] } })
    const play = await playAt(milter.address, { limits: { body: 1000, edits: 10 } }).greet()
    expect(await codeOf(play.send())).toBe('LIMIT_EDITS')
  })

  test('that are refused does not flood the log', async () => {
    const bad = Array.from({ length: 1000 }, (): Step => ['h', 'X Y', 'v'])
    expect((await edited(bad))[1].refused).toHaveLength(20)
  })
})
