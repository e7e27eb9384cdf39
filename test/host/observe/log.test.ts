import { describe, expect, it } from 'vitest'
import type { HostEvent } from '../../../src/host/observe/event.ts'
import { logEvents } from '../../../src/host/observe/log.ts'
import { createLog, type LogLevel } from '../../../src/host/observe/output.ts'
import type { Clock } from '../../../src/host/time/clock.ts'
import { ACCEPT, CONTINUE, rejectWith } from '../../../src/host/verdict.ts'

const clock: Clock = { now: () => 0, monotonic: () => 0, after: () => () => {} }
const client = { family: 'inet', address: '192.0.2.1', port: 25, hostname: 'mx.example.org' } as const
const at = { session: 's1', message: 's1.1' }

function linesOf(events: readonly HostEvent[], level: LogLevel = 'info'): string[] {
  const lines: string[] = []
  const log = createLog({ clock, level, format: 'journald', write: line => void lines.push(line.trimEnd()) })
  const observe = logEvents(log, clock, () => log.writes('debug'))
  for (const event of events) observe(event)
  return lines
}

const settled: Extract<HostEvent, { type: 'message-settled' }> = {
  ...at,
  type: 'message-settled',
  client,
  helo: 'mx.example.org',
  queueId: '4ABC',
  sender: '<a@example.org>',
  recipients: ['<b@example.com>'],
  size: 1234,
  outcome: 'accept',
  verdict: CONTINUE,
  decidedBy: null,
  result: null,
  timings: new Map([
    ['spf', 3.123],
    ['opendkim', 12],
  ]),
  milliseconds: 20.04,
}

describe('a message', () => {
  it('that was accepted is one line', () => {
    expect(linesOf([settled])).toEqual([
      '<6>message queue=4ABC message=s1.1 session=s1 client=mx.example.org[192.0.2.1] helo=mx.example.org ' +
        'from=<a@example.org> to=<b@example.com> recipients=1 size=1234 verdict=accept ms=20 filters={spf:3.1,opendkim:12}',
    ])
  })

  it('that was refused names the filter and the reply', () => {
    const verdict = rejectWith(550, '5.7.1', 'Spam', 'Go away')
    const [line] = linesOf([{ ...settled, outcome: 'reject', verdict, decidedBy: 'spf' }])
    expect(line).toContain('verdict=reject reply="550 5.7.1 Spam Go away" by=spf ms=20')
  })

  it('of many recipients names the first and counts all', () => {
    const recipients = Array.from({ length: 100 }, (_, i) => `<r${i}@x>`)
    const [line] = linesOf([{ ...settled, recipients }])
    expect(line).toContain('to=<r0@x>,<r1@x>,<r2@x>,<r3@x>,<r4@x> recipients=100')
  })

  it('from a client that lies stays one line', () => {
    const [line, ...rest] = linesOf([{ ...settled, helo: 'x\r\n<0>fake', sender: '<\u001b[2J>' }])
    expect(rest).toEqual([])
    expect(line).toContain('helo=x\\r\\n<0>fake')
    expect(line).toContain('from=<\\x1b[2J>')
  })

  it('shows UTF-8 addresses as they are meant', () => {
    const sender = Buffer.from('<jörg@example.org>').toString('latin1')
    expect(linesOf([{ ...settled, sender }])[0]).toContain('from=<jörg@example.org>')
  })
})

const failed: HostEvent = {
  ...at,
  type: 'filter-failed',
  filter: 'opendkim',
  stage: 'message',
  code: 'FILTER_TIMEOUT',
  detail: 'no answer within 30 s',
  onFailure: 'accept',
  milliseconds: 30_000,
  observed: false,
}

it('a failure of a filter is one line that says what follows from it', () => {
  expect(linesOf([failed])).toEqual([
    '<3>filter failed: no answer within 30 s session=s1 message=s1.1 filter=opendkim stage=message ' +
      'code=FILTER_TIMEOUT onFailure=accept ms=30000',
  ])
})

it('a filter that keeps sending what is dropped does not fill the log', () => {
  const refused: HostEvent = { ...at, type: 'answer-refused', filter: 'x', stage: 'message', detail: 'an edit' }
  expect(linesOf(Array.from({ length: 1000 }, () => refused))).toHaveLength(10)
})

it('what happens inside a message is told at debug only', () => {
  const events: HostEvent[] = [
    { ...at, type: 'session-opened', client, mta: 'postfix' },
    {
      ...at,
      type: 'filter-answered',
      filter: 'x',
      stage: 'rcpt',
      verdict: ACCEPT,
      edits: [],
      milliseconds: 1,
      observed: true,
    },
    { ...at, type: 'session-closed', messages: 1, milliseconds: 5 },
  ]
  expect(linesOf(events)).toEqual([])
  expect(linesOf(events, 'debug')).toEqual([
    '<7>session opened session=s1 message=s1.1 client=mx.example.org[192.0.2.1] mta=postfix',
    '<7>filter answered session=s1 message=s1.1 filter=x stage=rcpt verdict=accept ms=1 observed=true',
    '<7>session closed session=s1 message=s1.1 messages=1 ms=5',
  ])
})

describe('the health of an external milter', () => {
  const changed = {
    type: 'health-changed',
    filter: 'opendkim',
    session: '',
    message: null,
    milliseconds: 61_400,
  } as const

  it('is one line when it changes, a warning when it is bad news', () => {
    const lines = linesOf([
      { ...changed, was: 'up', state: 'wedged', reason: 'no answer within 4 s' },
      { ...changed, was: 'wedged', state: 'up', reason: 'it answers' },
    ])
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/^<4>.*external milter is wedged: no answer within 4 s/)
    expect(lines[0]).toMatch(/filter=opendkim state=wedged was=up seconds=61/)
    expect(lines[1]).toMatch(/^<6>.*external milter is up: it answers/)
  })
})
