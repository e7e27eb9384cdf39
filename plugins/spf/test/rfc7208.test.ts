/**
 * The RFC 7208 suite against both engines, over real name servers on loopback, through the resolver that the daemon uses.
 */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { resolver } from '../../../test/dns/support/resolver.ts'
import { startNameServer } from '../../../test/dns/support/server.ts'
import { type Engine, type Evaluation, loadEngine } from '../src/engine.ts'
import { type SuiteCase, suiteCases } from './support/suite.ts'

const cases = suiteCases()
const nameOf = ({ scenario, name }: SuiteCase): string => `${scenario}: ${name}`
const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')

/** A server and a resolver of its own for each case: scenarios have their own truth about the same names. */
async function evaluate(engine: Engine, { answer, ip, helo, sender }: SuiteCase): Promise<Evaluation> {
  const server = await startNameServer(answer)
  try {
    // Long for loopback on a busy machine; some names are never answered.
    const dns = resolver({ servers: [server], timeout: 2000, tries: 1, total: 4000 })
    const { signal } = new AbortController()
    return await engine.evaluate({ ip, helo, sender, receiver: 'receiver.example' }, { dns, time: 20_000, signal })
  } finally {
    await server.close()
  }
}

async function evaluateAll(engine: Engine): Promise<Map<string, Evaluation>> {
  const found = new Map<string, Evaluation>()
  const left = [...cases]
  const work = async (): Promise<void> => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) found.set(nameOf(one), await evaluate(engine, one))
  }
  await Promise.all(Array.from({ length: 16 }, work))
  return found
}

it('the suite has 203 cases', () => {
  expect(new Set(cases.map(nameOf)).size).toBe(203)
})

describe('mailauth is right in', () => {
  let found: Map<string, Evaluation>
  beforeAll(async () => {
    found = await evaluateAll(await loadEngine('mailauth', () => {}))
  })

  it.each(cases.map(one => [nameOf(one), one] as const))('%s', (name, one) => {
    const { result, explanation } = found.get(name)!
    expect(one.results).toContain(result)
    // Nibbles of %{i} may be in either case.
    if (one.explanation !== null && one.explanation !== 'DEFAULT')
      expect(explanation?.toLowerCase()).toBe(one.explanation.toLowerCase())
  })
})

describe('spf-check', () => {
  it('is wrong where `spf-check-failures.txt` says it is, and nowhere else', async () => {
    const found = await evaluateAll(await loadEngine('spf-check', () => {}))
    const wrong = cases.flatMap(one => {
      const { result } = found.get(nameOf(one))!
      return one.results.includes(result) ? [] : [`${nameOf(one)}: ${result}, not ${one.results.join(' or ')}`]
    })
    expect(`${wrong.join('\n')}\n`).toBe(read('./spf-check-failures.txt'))
  })

  it('is said in the README to fail as often as it does', () => {
    const failures = read('./spf-check-failures.txt').trim().split('\n').length
    expect(read('../README.md')).toContain(`${failures} of the ${cases.length}`)
  })
})
