/** What every networked look-up has to bear: its real server killed, restarted, and hung, while it is asked. */
import { expect, it } from 'vitest'
import type { Lookup } from '../../../src/host/policy/lookup.ts'
import type { LookupOptions } from '../../../src/host/policy/lookup-options.ts'
import type { LookupEntry } from '../../../src/lookups.ts'
import { until } from '../../interop/harness/index.ts'
import { answerOf, codeOf, never, opened } from '../support.ts'
import type { RealServer } from './server.ts'

interface Subject {
  readonly server: () => RealServer
  /** A look-up that has `value` under `key`, with these options. */
  readonly make: (options: LookupOptions) => LookupEntry
  readonly key: string
  readonly value: unknown
}

const QUICK: LookupOptions = { timeout: '400ms', cache: false, breaker: { failures: 3, pause: '200ms' } }

export function endures({ server, make, key, value }: Subject): void {
  /** With a time limit as short as `QUICK` has, a busy machine may need more than one try for the first connection. */
  const untilItAnswers = (lookup: Lookup): Promise<unknown> =>
    until('it answers', async () => JSON.stringify(await answerOf(lookup, key)) === JSON.stringify(value))

  it('many keys at once', async () => {
    const lookup = await opened(make({ cache: false }))
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => answerOf(lookup, index % 2 === 0 ? key : `nobody${index}@example.org`)),
    )
    expect(answers.filter(answer => JSON.stringify(answer) === JSON.stringify(value)).length).toBe(100)
    expect(answers.filter(answer => answer === null).length).toBe(100)
  })

  it('a restart while nobody asks is not noticed', async () => {
    const lookup = await opened(make({ cache: false }))
    expect(await answerOf(lookup, key)).toEqual(value)
    await server().restart()
    expect(await answerOf(lookup, key)).toEqual(value)
    expect(lookup.health().state).toBe('working')
  })

  it('killed: an error at once, then a pause, then as before', async () => {
    const lookup = await opened(make(QUICK))
    const serving = await opened(make({ ...QUICK, cache: { ttl: '1ms' }, onError: 'stale' }))
    await untilItAnswers(lookup)
    await untilItAnswers(serving)
    await server().kill()
    const codes = new Set<unknown>()
    for (let i = 0; i < 6; i++) codes.add(await answerOf(lookup, key))
    expect([...codes].every(code => /^LOOKUP_(FAILED|TIMEOUT|PAUSED)$/.test(String(code)))).toBe(true)
    expect(codes).toContain('LOOKUP_PAUSED')
    expect(await serving.find(key, never)).toMatchObject({ value, from: 'stale' })
    expect(await codeOf(lookup.probe(never))).toMatch(/^LOOKUP_(FAILED|TIMEOUT)$/)
    await server().start()
    await untilItAnswers(lookup)
    expect(lookup.health()).toMatchObject({ state: 'working', failures: 0 })
    await until('and is not stale', async () => (await serving.find(key, never)).from === 'source')
    expect(await codeOf(lookup.probe(never))).toBe('fine')
  })

  it('hung: an error at the deadline, then at once, then as before', async () => {
    const lookup = await opened(make(QUICK))
    await untilItAnswers(lookup)
    await server().hang()
    try {
      const began = performance.now()
      expect(await answerOf(lookup, key)).toMatch(/^LOOKUP_(TIMEOUT|FAILED)$/)
      expect(performance.now() - began).toBeGreaterThan(300)
      await Promise.all(['a', 'b', 'c'].map(name => answerOf(lookup, name)))
      const paused = performance.now()
      expect(await answerOf(lookup, key)).toBe('LOOKUP_PAUSED')
      expect(performance.now() - paused).toBeLessThan(300)
      const failOpen = await opened(make({ ...QUICK, onError: { value: 'open' } }))
      expect(await answerOf(failOpen, key)).toBe('open')
    } finally {
      server().resume()
    }
    await untilItAnswers(lookup)
  })
}
