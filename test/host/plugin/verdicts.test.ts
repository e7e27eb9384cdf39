import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readVerdict } from '../../../src/host/plugin/verdicts.ts'
import { accept, discard, quarantine, reject, tempfail, type Verdict } from '../../../src/plugin.ts'
import { type Conversation, converse, failureOf, snapshot, withHooks } from './harness.ts'

describe('the constructors', () => {
  test('reject and tempfail without a text leave the words to the MTA', () => {
    expect(reject()).toEqual({ kind: 'reject', reply: null })
    expect(tempfail()).toEqual({ kind: 'tempfail', reply: null })
  })

  test('a text gets the codes of its class unless others are given', () => {
    expect(reject('No')).toEqual({ kind: 'reject', reply: { code: 550, enhanced: '5.7.1', lines: ['No'] } })
    expect(tempfail('Later')).toEqual({ kind: 'tempfail', reply: { code: 451, enhanced: '4.7.1', lines: ['Later'] } })
    expect(reject('No', { code: 554, enhanced: null })).toEqual({
      kind: 'reject',
      reply: { code: 554, enhanced: null, lines: ['No'] },
    })
  })

  test('several lines come as an array or with line feeds', () => {
    const lines = ['one', 'two', 'three']
    expect(reject(lines)).toEqual(reject('one\ntwo\nthree'))
    expect(reject(['one', 'two\nthree'])).toEqual(reject(lines))
  })

  test('text is sent as UTF-8', () => {
    expect(reject('Nö')).toMatchObject({ reply: { lines: ['N\xc3\xb6'] } })
  })

  test.each([
    ['a code of the other class', () => reject('x', { code: 451 })],
    ['a code of the other class', () => tempfail('x', { code: 550 })],
    ['a code that is none', () => reject('x', { code: 5500 })],
    ['a fractional code', () => reject('x', { code: 550.5 })],
    ['an enhanced code of the other class', () => reject('x', { enhanced: '4.7.1' as never })],
    ['an enhanced code that is none', () => tempfail('x', { enhanced: '4.7' as never })],
    ['a carriage return', () => reject('a\rb')],
    ['a NUL', () => reject('a\0b')],
    ['33 lines', () => reject(Array.from({ length: 33 }, () => 'x'))],
    ['981 bytes', () => reject('x'.repeat(981))],
    ['981 bytes with per cent signs doubled', () => reject(`${'x'.repeat(979)}%`)],
    ['an enhanced code of another class in the text', () => reject('2.0.0 ok', { enhanced: null })],
    ['no lines', () => reject([])],
    ['a text that is none', () => reject(5 as never)],
    ['codes without a text', () => reject(undefined, { code: 550 })],
    ['an empty reason', () => quarantine('')],
    ['a reason with a line break', () => quarantine('a\nb')],
    ['a reason that is none', () => quarantine(undefined as never)],
  ])('%s is refused at the call', (_what, call) => {
    expect(call).toThrow(expect.objectContaining({ code: 'REPLY_INVALID' }))
  })

  test('32 lines of 980 bytes are taken', () => {
    expect(reject(Array.from({ length: 32 }, () => 'x'.repeat(980)))).toMatchObject({ kind: 'reject' })
  })

  test('whatever text an author gives, a reply that was made has no line break in a line', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(0x2fff), { maxLength: 200 }).map(units => String.fromCharCode(...units)),
        text => {
          let verdict: Verdict
          try {
            verdict = tempfail(text)
          } catch (error) {
            expect((error as { code: string }).code).toBe('REPLY_INVALID')
            return
          }
          expect(verdict.kind === 'tempfail' && verdict.reply?.lines.join('')).not.toMatch(/[\r\n\0]|[^\0-\xff]/)
        },
      ),
    )
  })
})

describe('what a hook returns', () => {
  test.each([
    null,
    true,
    false,
    0,
    'reject',
    'skip',
    {},
    [],
    { kind: 'rejected' },
    { kind: 'reject' },
    { kind: 'reject', reply: { code: 451, enhanced: '4.7.1', lines: ['x'] } },
    { kind: 'tempfail', reply: { code: 250, enhanced: '2.0.0', lines: ['ok'] } },
    { kind: 'reject', reply: { code: 550, enhanced: '5.7.1', lines: ['a\r\n250 ok'] } },
    { kind: 'reject', reply: { code: 550, enhanced: '5.7.1', lines: ['ü€'] } },
    { kind: 'reject', reply: { code: 550, enhanced: '5.7.1', lines: [] } },
    { kind: 'quarantine' },
    { kind: 'quarantine', reason: 'a\nb' },
    reject,
  ])('%j is no verdict, and is said to be none', answer => {
    expect(readVerdict(answer)).toBeTypeOf('string')
  })

  test('a verdict of another copy of the package counts', () => {
    const copy = structuredClone(reject('No\nno'))
    expect(readVerdict(copy)).toEqual(reject('No\nno'))
  })
})

const verdicts = { accept, discard, quarantine: quarantine('odd'), reject: reject('No'), tempfail: tempfail('Later') }
const asks: Readonly<Record<string, (conversation: Conversation) => unknown>> = {
  connect: conversation => conversation.connect(),
  helo: conversation => conversation.helo(),
  mail: conversation => conversation.mail(),
  rcpt: conversation => conversation.rcpt(),
  data: conversation => conversation.data(),
}
const hookNames = ['connect', 'helo', 'mail', 'rcpt', 'data', 'headers', 'body', 'end'] as const

describe.each(hookNames)('the hook %s', hook => {
  const ask = async (answer: unknown): Promise<unknown> => {
    const conversation = await converse(withHooks({ [hook]: () => answer } as never))
    if (asks[hook] === undefined) {
      await conversation.mail()
      const message = { body: ['some text\r\n'] }
      return (await conversation.message(snapshot(message))).verdict
    }
    if (hook === 'rcpt' || hook === 'data') await conversation.mail()
    return asks[hook](conversation)
  }

  test.each(Object.entries(verdicts))('answers %s at once or by a promise', async (_name, verdict) => {
    expect(await ask(verdict)).toEqual(verdict)
    expect(await ask(Promise.resolve(verdict))).toEqual(verdict)
  })

  test('lets the message go on by returning nothing', async () => {
    expect(await ask(undefined)).toEqual({ kind: 'continue' })
    expect(await ask(Promise.resolve())).toEqual({ kind: 'continue' })
  })

  test.each([[null], [false], ['reject'], [reject], [{}]])('fails for %s, which is no verdict', async answer => {
    for (const given of [answer, Promise.resolve(answer)]) {
      const error = await failureOf(() => ask(given))
      expect(error).toMatchObject({ code: 'FILTER_BAD_ANSWER' })
      expect(error?.message).toContain(`filter probe gave an answer at ${hook}`)
    }
  })
})
