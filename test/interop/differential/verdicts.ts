// The matrix of what a milter may answer and where, and what a plugin returns to say the same.

import { accept, discard, quarantine, reject, tempfail } from 'milterhost/plugin'
import type { Step } from '../harness/index.ts'
import type { Line } from './session.ts'

/** What a hook returns. */
type Answer = ReturnType<typeof reject> | undefined

export interface VerdictCase {
  name: string
  /** The command whose answer it is. */
  at: string
  /** Of several such packets in the message, the one answered so: the number, or every one. */
  which: number | 'every'
  steps: Step[]
  /** The hook that says the same, and what it returns. Absent where a plugin has no word for it. */
  plugin?: { hook: string; answer: Answer | 'skip' }
  /** Where the session has an unknown command. */
  unknown?: 'before MAIL' | 'after RCPT'
  /** RSET before the second message: both MTAs keep the envelope of a message that was refused at DATA. */
  reset: boolean
}

interface Saying {
  steps: Step[]
  answer?: Answer
  /** Letters of the places where it may be said; everywhere when absent. */
  only?: string
}

const SAYINGS: Record<string, Saying> = {
  continue: { steps: ['c'], answer: undefined },
  accept: { steps: ['a'], answer: accept },
  reject: { steps: ['r'], answer: reject() },
  tempfail: { steps: ['t'], answer: tempfail() },
  discard: { steps: ['d'], answer: discard },
  '550 with an enhanced code': { steps: [['y', '550 5.7.1 Go away']], answer: reject('Go away') },
  '554 without one': { steps: [['y', '554 Go away']], answer: reject('Go away', { code: 554, enhanced: null }) },
  '550 in two lines': {
    steps: [['y', '550-5.7.2 One\r\n550 5.7.2 Two']],
    answer: reject(['One', 'Two'], { enhanced: '5.7.2' }),
  },
  '451 with an enhanced code': { steps: [['y', '451 4.7.1 Come again']], answer: tempfail('Come again') },
  '452 in two lines': {
    steps: [['y', '452-4.3.1 One\r\n452 4.3.1 Two']],
    answer: tempfail(['One', 'Two'], { code: 452, enhanced: '4.3.1' }),
  },
  '421': { steps: [['y', '421 4.7.0 Closing']], answer: tempfail('Closing', { code: 421, enhanced: '4.7.0' }) },
  'a per cent sign': { steps: [['y', '550 5.7.1 100%% spam']], answer: reject('100% spam') },
  quarantine: { steps: [['q', 'looks odd'], 'c'], answer: quarantine('looks odd'), only: 'E' },
  skip: { steps: ['s'], only: 'CHMRTLNBU' },
  'a lone per cent sign': { steps: [['y', '550 5.7.1 100% spam']], only: 'MRE' },
  shutdown: { steps: ['4'], only: 'CHMRTE' },
}

interface PlaceOfAnswer {
  name: string
  at: string
  which?: number | 'every'
  hook?: string
  unknown?: VerdictCase['unknown']
  reset?: boolean
}

const PLACES: PlaceOfAnswer[] = [
  { name: 'CONNECT', at: 'C', hook: 'connect' },
  { name: 'HELO', at: 'H', hook: 'helo' },
  { name: 'MAIL', at: 'M', hook: 'mail' },
  { name: 'the first RCPT', at: 'R', hook: 'rcpt' },
  { name: 'the second RCPT', at: 'R', which: 1, hook: 'rcpt' },
  { name: 'every RCPT', at: 'R', which: 'every', hook: 'rcpt' },
  { name: 'DATA', at: 'T', hook: 'data', reset: true },
  { name: 'DATA, and no RSET', at: 'T', hook: 'data' },
  { name: 'the second header', at: 'L', which: 1 },
  { name: 'the end of headers', at: 'N', hook: 'headers' },
  { name: 'the body', at: 'B', hook: 'body' },
  { name: 'the end of the message', at: 'E', hook: 'end' },
  { name: 'an unknown command before MAIL', at: 'U', unknown: 'before MAIL' },
  { name: 'an unknown command after RCPT', at: 'U', unknown: 'after RCPT' },
]

export const CASES: VerdictCase[] = PLACES.flatMap(({ name: place, at, which = 0, hook, unknown, reset = false }) =>
  Object.entries(SAYINGS).flatMap(([saying, { steps, answer, only }]): VerdictCase[] => {
    if (only !== undefined && !only.includes(at)) return []
    const skips = saying === 'skip'
    const says = hook !== undefined && (saying === 'continue' || answer !== undefined || (skips && hook === 'body'))
    return [
      {
        name: `${saying} at ${place}`,
        at,
        which,
        steps,
        reset,
        ...(says && { plugin: { hook, answer: skips ? 'skip' : answer } }),
        ...(unknown !== undefined && { unknown }),
      },
    ]
  }),
)

const content = (n: number): Line => ({
  content: `From: a@example.com\r\nTo: b@example.net\r\nSubject: message ${n}\r\nDate: Mon, 1 Jan 1990 00:00:00 +0000\r\nMessage-Id: <${n}@example.com>\r\n\r\nHello ${n}\r\n.dot\r\n`,
})

/** Three messages: the one that the verdict is for, the next one, and one after RSET. */
export const linesOf = ({ unknown, reset }: VerdictCase): Line[] => [
  'EHLO client.example',
  ...(unknown === 'before MAIL' ? ['FOO bar'] : []),
  'MAIL FROM:<a@example.com>',
  'RCPT TO:<b@example.net>',
  'RCPT TO:<c@example.net>',
  ...(unknown === 'after RCPT' ? ['FOO bar'] : []),
  'DATA',
  content(1),
  ...(reset ? ['RSET'] : []),
  'MAIL FROM:<a@example.com> SIZE=100',
  'RCPT TO:<b@example.net>',
  'DATA',
  content(2),
  'RSET',
  'MAIL FROM:<>',
  'RCPT TO:<c@example.net>',
  'DATA',
  content(3),
  'QUIT',
]
