/**
 * The tables of the documentation are those that the code gives, and what they are made of is whole: every option is explained, and its
 * default is that of the code. Each condition that can be imported has a row, and is decided at the stage that the row says.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { Comments } from '../../site/tables/comments.ts'
import { conditionTables } from '../../site/tables/conditions.ts'
import { optionsOf } from '../../site/tables/options.ts'
import { pagesWithTables } from '../../site/tables/pages.ts'
import * as conditions from '../../src/conditions.ts'
import { pageText } from './pages.ts'

describe('the tables of the documentation', () => {
  const written = pagesWithTables()

  it.each([...written])('of %s are up to date', (page, text) => {
    expect(pageText(page), 'npm run docs:reference brings the tables up to date').toBe(text)
  })

  it('have the defaults and bounds of the code', () => {
    const page = written.get('docs/configuration.md')!.replace(/ +/g, ' ')
    expect(page).toContain("| `dns.total` | duration | `'6s'` |")
    expect(page).toContain('| `holds.perClient` | whole number, at least 1 | `2` |')
    expect(page).toContain("| `timeouts.command` | duration | `'30s'` |")
    expect(page.match(/^\| `[\w.]+` \|/gm)!.length).toBeGreaterThan(60)
  })
})

describe('an option', () => {
  /** What is wrong with a type and a schema. */
  function faults(type: string, schema: z.ZodObject): string {
    const folder = mkdtempSync(join(tmpdir(), 'milterhost-reference-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'type.ts'), `export interface Options {\n${type}\n}\n`)
    const members = new Comments(folder, ['type.ts']).membersOf('type.ts', 'Options')
    try {
      optionsOf('Options', { schema, members, settle: written => ({ tries: 5, ...written }), least: {}, later: [] })
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }

  it.each([
    ['/** How many. @default 5 */ readonly tries?: number', ''],
    [
      'readonly tries?: number',
      'Options.tries has no doc comment: say what it does\nOptions.tries does not say its @default',
    ],
    ['/** @default 5 */ readonly tries?: number', 'Options.tries has no doc comment: say what it does'],
    ['/** How many. */ readonly tries?: number', 'Options.tries does not say its @default'],
    ['/** How many. @default 6 */ readonly tries?: number', 'Options.tries: its @default is 6; the code has another'],
    ['', 'Options.tries is taken by the schema, and not in the type'],
    [
      '/** How many. @default 5 */ readonly tries?: number\n/** One more. @default none */ readonly more?: string',
      'Options.more is in the type, and the schema does not take it',
    ],
    [
      `/** ${'How many. '.repeat(20)} @default 5 */ readonly tries?: number`,
      'Options.tries: its doc comment is longer than 190 characters: put the rest under @remarks',
    ],
  ])('%s: %s', (type, message) => {
    expect(faults(type, z.strictObject({ tries: z.int().describe('whole number').optional() }))).toBe(message)
  })

  it('in an option is looked at too', () => {
    const schema = z.strictObject({
      cache: z.union([z.literal(false), z.strictObject({ size: z.boolean() })]).optional(),
    })
    expect(
      faults('/** Keeps answers. @default none */ readonly cache?: false | { readonly size: boolean }', schema),
    ).toBe('Options.cache.size has no doc comment: say what it does')
  })

  it('needs words for the values it takes', () => {
    const schema = z.strictObject({ when: z.date().optional() })
    expect(faults('/** The day. @default none */ readonly when?: Date', schema)).toBe(
      'Options.when says not which values it takes: give its schema words with .describe(…)',
    )
  })
})

describe('a condition', () => {
  /** What is wrong with one. */
  function faults(source: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'milterhost-reference-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'of.ts'), `interface Condition { at: string }\n${source}\n`)
    try {
      conditionTables(new Comments(folder, ['of.ts']), 'of.ts', text => text)
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }

  const odd = (comment: string, parameters = '', before = ''): string =>
    `${before}\n/**\n * ${comment}\n * @example odd()\n */\nexport declare function odd(${parameters}): Condition`
  const said = 'It is odd. Decided at connect.'
  const options = (comment: string): string => `interface Options {\n${comment}\nreadonly by?: number\n}`

  it.each([
    ['says all', odd(said), ''],
    ['is no other function', 'export declare function even(): boolean', ''],
    ['has a doc comment', odd(''), 'of.ts: odd has no doc comment: say what it holds for'],
    [
      'says when it is decided',
      odd('It is odd.'),
      'of.ts: odd: its doc comment has to end with "Decided at connect.", or whenever it is',
    ],
    [
      'has an example',
      odd(said).replace('odd()', 'not(odd())'),
      'of.ts: odd: its first @example has to be a call of it',
    ],
    ['explains its arguments', odd(said, 'by: number'), 'of.ts: odd: nothing is said of its argument by'],
    [
      'explains its options',
      odd(said, 'options: Options', options('')),
      'of.ts: odd: nothing is said of its argument by\nof.ts: odd: its option by does not say its @default',
    ],
    [
      'says the defaults of the code',
      `${options('/** How odd. @default 3 */')}
      /**
       * ${said}
       * @example odd()
       */
      export function odd({ by = 2 }: Options = {}): Condition { return { at: String(by) } }`,
      'of.ts: odd: the @default of its option by is 3, and the code takes 2',
    ],
  ])('%s', (_, source, message) => {
    expect(faults(source)).toBe(message)
  })
})

describe('docs/conditions.md', () => {
  const { all, any, not, condition, setMacro, resultKey, ...made } = conditions
  const EXAMPLES: Readonly<Record<keyof typeof made, conditions.Condition>> = {
    localNetwork: made.localNetwork(),
    remoteNetwork: made.remoteNetwork(),
    client: made.client('example.org'),
    verifiedPtr: made.verifiedPtr(),
    s25r: made.s25r(),
    dnsbl: made.dnsbl('bl.example.org'),
    dnswl: made.dnswl('wl.example.org'),
    stress: made.stress(),
    time: made.time('Mon-Fri 08:00-18:00'),
    sample: made.sample(10),
    helo: made.helo('example.org'),
    tls: made.tls(),
    authenticated: made.authenticated(),
    sender: made.sender('example.org'),
    senderDomain: made.senderDomain('example.org'),
    trusted: made.trusted({ domains: ['example.org'] }),
    recipient: made.recipient('example.org'),
    recipientDomain: made.recipientDomain('example.org'),
    verdict: made.verdict('spf'),
    result: made.result(resultKey('spf'), () => true),
    header: made.header('List-Id'),
    messageSize: made.messageSize({ min: 1 }),
    macro: made.macro('v'),
  }
  const stages = new Map(
    [...pageText('docs/conditions.md').matchAll(/^\| `(\w+)` +\| .* Example: .* \| (.*?) +\|$/gm)].map(
      ([, name, decided]) => [name!, decided!],
    ),
  )

  it('has a row for each that can be imported', () => {
    const others = { all, any, not, condition, setMacro }
    expect([...stages.keys()].toSorted()).toEqual([...Object.keys(made), ...Object.keys(others)].toSorted())
  })

  /** These stand until another time than their first stage. */
  const IN_WORDS = /the stage `at`$|^at mail or rcpt/

  it.each(Object.entries(EXAMPLES).filter(([name]) => !IN_WORDS.test(stages.get(name) ?? '')))(
    '%s is decided when its row says',
    (name, { at: stage }) => {
      expect(stages.get(name)).toMatch(new RegExp(`^at ${stage}\\b`))
    },
  )
})
