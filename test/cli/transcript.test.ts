import { describe, expect, it } from 'vitest'
import { parseMessage } from '../../src/cli/message-file.ts'
import { editText, messageDiff, replyLines, transcriptText } from '../../src/cli/transcript.ts'
import { memoryBody } from '../../src/host/message/body.ts'
import { AT_END, type Edit } from '../../src/host/message/edit.ts'
import { ACCEPT, CONTINUE, DISCARD, REJECT, rejectWith, TEMPFAIL } from '../../src/host/verdict.ts'

describe('the client would see', () => {
  it.each([
    ['connect', CONTINUE, ['220 ready']],
    ['rcpt', ACCEPT, ['250 2.1.5 Ok']],
    ['message', DISCARD, ['250 2.0.0 Ok']],
    ['mail', REJECT, ['550 5.7.1 Command rejected']],
    ['mail', TEMPFAIL, ['451 4.7.1 Service unavailable - try again later']],
    ['rcpt', rejectWith(554, '5.7.1', 'one', 'two'), ['554-5.7.1 one', '554 5.7.1 two']],
    ['rcpt', { kind: 'reject', reply: { code: 550, enhanced: null, lines: ['plain'] } }, ['550 plain']],
  ] as const)('at %s for %j %j', (stage, verdict, lines) => {
    expect(replyLines(stage, verdict)).toEqual(lines)
  })
})

describe('an edit in words', () => {
  it.each<[Edit, string]>([
    [{ kind: 'addHeader', name: 'X', value: ' a' }, 'add header X: a'],
    [{ kind: 'insertHeader', index: 1, name: 'X', value: ' a' }, 'insert header at 1 X: a'],
    [{ kind: 'insertHeader', index: AT_END, name: 'X', value: ' a' }, 'insert header at the end X: a'],
    [{ kind: 'changeHeader', occurrence: 2, name: 'X', value: ' a' }, 'change header X (2) to a'],
    [{ kind: 'removeHeader', occurrence: 1, name: 'X' }, 'remove header X (1)'],
    [{ kind: 'replaceBody', body: memoryBody([Buffer.from('abc')]) }, 'replace body, 3 bytes'],
    [{ kind: 'addRecipient', address: '<a@b>', args: '' }, 'add recipient <a@b>'],
    [{ kind: 'addRecipient', address: '<a@b>', args: 'NOTIFY=NEVER' }, 'add recipient <a@b> NOTIFY=NEVER'],
    [{ kind: 'removeRecipient', address: '<a@b>' }, 'remove recipient <a@b>'],
    [{ kind: 'changeSender', address: '<a@b>', args: '' }, 'change sender to <a@b>'],
    [{ kind: 'quarantine', reason: 'odd' }, 'quarantine (odd)'],
    [{ kind: 'addHeader', name: 'X', value: ' \u001b[31m\n\tred' }, 'add header X: \\x1b[31m\\n\\tred'],
  ])('%j', (edit, text) => {
    expect(editText(edit)).toBe(text)
  })
})

describe('the difference of two messages', () => {
  const message = (text: string): ReturnType<typeof parseMessage> => parseMessage(Buffer.from(text))

  it('is empty when nothing changed', () => {
    expect(messageDiff(message('A: 1\n\nbody\n'), message('A: 1\n\nbody\n'))).toBe('')
  })

  it('is unified, and harmless to a terminal', () => {
    const diff = messageDiff(message('A: 1\nB: 2\n\nbody\n'), message('A: 1\nB: \u001b[2J\n\nbody\n'))
    expect(diff.split('\n')).toEqual(
      ['--- received', '+++ result', '@@ -1,5 +1,5 @@', ' A: 1', '-B: 2', '+B: \\x1b[2J', ' ', ' body', ' '].slice(
        0,
        -1,
      ),
    )
  })
})

it('a failed filter is told with its code, its cause and what follows', () => {
  const where = { session: 's', message: 's.1' }
  const text = transcriptText({
    steps: [
      {
        command: 'MAIL FROM:<a@b>',
        stage: 'mail',
        verdict: TEMPFAIL,
        events: [
          {
            ...where,
            type: 'filter-failed',
            filter: 'spf',
            stage: 'mail',
            code: 'FILTER_TIMEOUT',
            detail: 'no answer',
            onFailure: 'tempfail',
            milliseconds: 12.34,
            observed: false,
          },
          { ...where, type: 'answer-refused', filter: 'spf', stage: 'mail', detail: 'an edit' },
        ],
      },
    ],
    settled: null,
    result: null,
  })
  expect(text).toBe(`MAIL FROM:<a@b>
  spf: FAILED (FILTER_TIMEOUT), so tempfail, 12.3 ms
      no answer
  spf: dropped: an edit
  < 451 4.7.1 Service unavailable - try again later`)
})
