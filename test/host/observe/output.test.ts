import { describe, expect, it } from 'vitest'
import { chooseFormat, createLog, type LogFormat, type LogLevel } from '../../../src/host/observe/output.ts'
import type { Clock } from '../../../src/host/time/clock.ts'

const clock: Clock = { now: () => Date.UTC(2026, 10, 24, 4, 7, 8, 90), monotonic: () => 0, after: () => () => {} }

function logTo(format: LogFormat, level: LogLevel = 'info'): { log: ReturnType<typeof createLog>; lines: string[] } {
  const lines: string[] = []
  return { log: createLog({ clock, format, level, write: line => void lines.push(line) }), lines }
}

describe('text', () => {
  it('is one line with time, level, message and fields', () => {
    const { log, lines } = logTo('text')
    log.child({ filter: 'spf' }).warn({ n: 3, to: ['a', 'b c'], ms: { spf: 1.5 } }, 'slow')
    expect(lines).toEqual(['04:07:08.090 warn  slow filter=spf n=3 to=a,"b c" ms={spf:1.5}\n'])
  })

  it('makes what peers sent harmless, in message, keys and values', () => {
    const { log, lines } = logTo('text')
    log.info({ 'a\u001b': 'x\n12:00 error fake' }, 'hello\u001b[2J')
    expect(lines).toEqual([
      '04:07:08.090 info  hello\\x1b[2J a\\x1b="x\\\\n12:00 error fake"\n'.replace('\\\\n', '\\n'),
    ])
  })

  it('shows an error by its message', () => {
    const { log, lines } = logTo('text')
    log.error({ error: new TypeError('no such thing') }, 'failed')
    expect(lines).toEqual(['04:07:08.090 error failed error="no such thing"\n'])
  })
})

describe('JSON', () => {
  it('has level, time, fields and message', () => {
    const { log, lines } = logTo('json')
    log.info({ queue: '4ABC' }, 'message')
    expect(JSON.parse(lines[0]!)).toEqual({
      level: 'info',
      time: '2026-11-24T04:07:08.090Z',
      queue: '4ABC',
      msg: 'message',
    })
  })

  it('holds no character that a terminal acts on, and keeps what it means', () => {
    const { log, lines } = logTo('json')
    log.info({ helo: '\u009b31m\u202e\u007f' }, 'x')
    expect(lines[0]).not.toMatch(/[\u007f-\u009f\u202e]/)
    expect(JSON.parse(lines[0]!).helo).toBe('\u009b31m\u202e\u007f')
  })

  it('keeps the stack of an error', () => {
    const { log, lines } = logTo('json')
    log.error({ error: new TypeError('no') }, 'x')
    expect(JSON.parse(lines[0]!).error).toMatchObject({ type: 'TypeError', message: 'no', stack: expect.any(String) })
  })
})

describe('journald', () => {
  it('gets the severity and no time, which it adds itself', () => {
    const { log, lines } = logTo('journald', 'debug')
    log.debug({}, 'd')
    log.info({}, 'i')
    log.warn({}, 'w')
    log.error({}, 'e')
    expect(lines).toEqual(['<7>d\n', '<6>i\n', '<4>w\n', '<3>e\n'])
  })

  it('cannot be given a severity by a peer', () => {
    const { log, lines } = logTo('journald')
    log.info({ helo: 'a\n<0>panic' }, 'message')
    expect(lines).toEqual(['<6>message helo=a\\n<0>panic\n'])
  })
})

it('the level may change while loggers are in use', () => {
  const { log, lines } = logTo('text', 'warn')
  const child = log.child({ filter: 'a' })
  child.info({}, 'unsaid')
  log.setLevel('debug')
  child.debug({}, 'said')
  expect(lines).toEqual(['04:07:08.090 debug said filter=a\n'])
})

it.each([
  ['auto', true, {}, 'text'],
  ['auto', false, {}, 'json'],
  ['auto', false, { JOURNAL_STREAM: '8:1234' }, 'journald'],
  ['auto', true, { JOURNAL_STREAM: '8:1234' }, 'text'],
  ['json', true, { JOURNAL_STREAM: '8:1234' }, 'json'],
] as const)('format %s, terminal %s, environment %j is %s', (configured, terminal, env, format) => {
  expect(chooseFormat(configured, terminal, env)).toBe(format)
})
