/** ValiMail's suite for the validation of ARC chains. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { results, verify } from './support/play.ts'

interface Scenario {
  readonly description: string
  readonly tests: Readonly<Record<string, { readonly message: string; readonly cv: string | null }>>
  readonly 'txt-records': Readonly<Record<string, string>> | ''
}

const scenarios = parseAllDocuments(
  readFileSync(new URL('suites/arc-validation.yml', import.meta.url), 'utf8'),
).flatMap(document => (document.toJS() as Scenario | null) ?? [])

/**
 * The first was signed as relaxed/relaxed and does not say so: RFC 6376 §3.5 then means simple/simple. The second signs no
 * header field at all, where RFC 6376 §6.1.1 wants at least From. The suite expects both to pass.
 */
const MISSES: ReadonlySet<string> = new Set(['ams_fields_c_na', 'ams_fields_h_empty'])

async function validated(
  { message, cv }: Scenario['tests'][string],
  records: Scenario['txt-records'],
): Promise<[string, string]> {
  const zone = Object.fromEntries(
    Object.entries(records).map(([name, text]) => [name, { txt: [text.replaceAll(/\s*\n\s*/g, '')] }]),
  )
  const delivered = await verify(message.replaceAll(/\r?\n/g, '\r\n'), { zone })
  const found = /^arc=(\w+)/.exec(results(delivered, 'arc')[0] ?? 'arc=none')?.[1]
  // Three cases leave the expectation empty; their comments ask for a chain that does not validate.
  return [found ?? '', (cv?.trim() || 'fail').toLowerCase()]
}

describe('the suite of ARC chains', () => {
  it('has 171 cases', () => {
    expect(scenarios.flatMap(({ tests }) => Object.keys(tests))).toHaveLength(171)
  })

  describe.each(scenarios)('$description', ({ tests, 'txt-records': records }) => {
    const cases = Object.entries(tests).filter(([name]) => !MISSES.has(name))
    it.each(cases)('%s', async (_name, test) => {
      const [found, expected] = await validated(test, records)
      expect(found).toBe(expected)
    })
  })

  it('misses two, and no more', async () => {
    const missed: string[] = []
    for (const { tests, 'txt-records': records } of scenarios)
      for (const [name, test] of Object.entries(tests)) {
        const [found, expected] = await validated(test, records)
        if (found !== expected) missed.push(name)
      }
    expect(new Set(missed)).toEqual(MISSES)
  })
})
