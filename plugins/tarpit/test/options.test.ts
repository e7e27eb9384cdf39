import { describe, expect, it } from 'vitest'
import { optionsSchema } from '../src/read-options.ts'

const problems = (options: unknown): string[] =>
  (optionsSchema.safeParse(options).error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)

describe('the bounds of options', () => {
  it.each<[string, object, object]>([
    ['hold', { hold: 240 }, { hold: 241 }],
    ['hold', { at: 'data', hold: 90 }, { at: 'data', hold: 91 }],
    ['adaptive.keep', { adaptive: { keep: 1 } }, { adaptive: { keep: 1.01 } }],
    ['adaptive.keep', { adaptive: { keep: 0.01 } }, { adaptive: { keep: 0 } }],
    ['entries', { entries: 100 }, { entries: 99 }],
    ['entries', { entries: 101 }, { entries: 100.5 }],
    ['failedFor', { failedFor: '3650d' }, { failedFor: '3651d' }],
    ['life', { life: '3650d' }, { life: '3651d' }],
    ['greylist.wait', { greylist: { wait: '3650d' } }, { greylist: { wait: '3651d' } }],
    ['earlyTalkers', { at: 'connect', earlyTalkers: true }, { at: 'helo', earlyTalkers: true }],
    ['reply.code', { reply: { code: 421 } }, { reply: { code: 550 } }],
    ['reply.text', { reply: { text: 'x' } }, { reply: { text: '' } }],
    ['mode', { mode: 'both' }, { mode: 'neither' }],
    ['store.path', { store: 'memory' }, { store: { path: '' } }],
    ['bypass.networks', { bypass: { networks: ['192.0.2.0/24'] } }, { bypass: { networks: ['192.0.2.0/33'] } }],
  ])('%s: %j is taken, %j refused with its name', (name, good, bad) => {
    expect(problems(good)).toEqual([])
    const [problem = ''] = problems(bad)
    // Of a choice between kinds of values the option itself is named.
    expect([name, name.split('.')[0]], problem).toContain(problem.split(':')[0])
  })
})
