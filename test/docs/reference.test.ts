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
import { optionsOf } from '../../site/tables/options.ts'
import { pagesWithTables } from '../../site/tables/pages.ts'
import * as conditions from '../../src/conditions.ts'
import { pageText } from './pages.ts'

/** The cells of each row of a table of the page, between two texts. */
function rows(page: string, from: string, to: string): string[][] {
  const part = pageText(page).split(from)[1]!.split(to)[0]!
  return [...part.matchAll(/^\| (.*) \|$/gm)].map(([, row]) => row!.split(/ \| /).map(cell => cell.trim()))
}

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
  const table = rows('docs/conditions.md', '## The conditions', 'What their options mean').filter(([cell]) =>
    cell!.startsWith('`'),
  )
  const stages = new Map(
    table.flatMap(([cell, , stage]) => [...cell!.matchAll(/`(\w+)\(/g)].map(([, name]) => [name!, stage!] as const)),
  )

  it('has a row for each that can be imported', () => {
    expect([...stages.keys()].toSorted()).toEqual([...Object.keys(made), 'all', 'any', 'not', 'setMacro'].toSorted())
    expect([all, any, not, condition, setMacro, resultKey].every(one => typeof one === 'function')).toBe(true)
  })

  /** These stand until another time than their first stage. */
  const IN_WORDS = /^(to `at`|its stage|mail, rcpt)$/

  it.each(Object.entries(EXAMPLES).filter(([name]) => !IN_WORDS.test(stages.get(name) ?? '')))(
    '%s is decided when its row says',
    (name, { at: stage }) => {
      expect(stage).toBe(stages.get(name))
    },
  )
})
