/**
 * The tables of docs/configuration.md and docs/conditions.md say what the code does: the defaults are those of a configuration that says
 * nothing, and of the doc comments; each condition that can be imported has a row, and is decided at the stage that the row says.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as conditions from '../../src/conditions.ts'
import { parseDuration } from '../../src/host/config/duration.ts'
import { DEFAULT_TIMEOUTS } from '../../src/host/config/schema.ts'
import { parseSize } from '../../src/host/config/size.ts'
import { validateConfig } from '../../src/host/config/validate.ts'
import { pageText, ROOT } from './pages.ts'

/** The cells of each row of a table of the page, between two texts. */
function rows(page: string, from: string, to: string): string[][] {
  const part = pageText(page).split(from)[1]!.split(to)[0]!
  return [...part.matchAll(/^\| (.*) \|$/gm)].map(([, row]) => row!.split(/ \| /).map(cell => cell.trim()))
}

/** What a cell says as code; `null` where it says it in words. */
const literal = (cell: string): string | null => /^`([^`]+)`$/.exec(cell)?.[1] ?? null

const settled = validateConfig({}, 'nothing', () => {}).settings as unknown as Record<string, unknown>

const at = (path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], settled)

/** All that a text of a configuration may be read as. */
function readings(text: string): unknown[] {
  const value = /^'.*'$/.test(text) ? text.slice(1, -1) : (JSON.parse(text) as unknown)
  const read = (parse: (value: unknown) => unknown): unknown[] => {
    try {
      return [parse(value)]
    } catch {
      return []
    }
  }
  return [value, ...read(parseDuration), ...read(parseSize)]
}

describe('docs/configuration.md', () => {
  /** Where the settings have another shape, or the default is made when it is needed. */
  const ELSEWHERE: readonly RegExp[] = [
    /^listen(\.|$)/,
    /^liveness$/,
    /^record\./,
    /^budget\.end$/,
    /^spool\.directory$/,
    /^filters$/,
  ]

  const keys = rows('docs/configuration.md', '## Keys', '## Holds').filter(([key]) => literal(key!) !== null)
  const literals = keys.map(([key, , value]) => [literal(key!)!, literal(value!)] as const)
  const said = literals.filter(([key, value]) => value !== null && !ELSEWHERE.some(pattern => pattern.test(key)))

  it.each(said)('the default of %s is %s', (key, value) => {
    expect(readings(value!)).toContainEqual(at(key))
  })

  it('is looked at', () => {
    expect(said.length).toBeGreaterThan(20)
  })

  it.each(Object.entries(DEFAULT_TIMEOUTS))('the default of timeouts.%s is that of the code', (name, milliseconds) => {
    const entries = rows('docs/configuration.md', '## Entries of `filters`', '## Mistakes')
    const row = entries.find(([key]) => literal(key!) === `timeouts.${name}`)
    expect(readings(literal(row![2]!)!)).toContain(milliseconds)
  })

  it('says what the doc comments say', () => {
    const source = readFileSync(join(ROOT, 'src/host/config/config.ts'), 'utf8')
    const comments = new Map<string, string>()
    const path: string[] = []
    let comment = ''
    for (const line of source.split('export interface Config {')[1]!.split('\n}\n')[0]!.split('\n')) {
      if (/^ *(\/\*\*|\*)/.test(line)) comment += `${line}\n`
      const key = /^( +)readonly (\w+)\?:(.*)$/.exec(line)
      if (key === null) continue
      path.splice(key[1]!.length / 2 - 1, path.length, key[2]!)
      const given = /@default (?:'([^']+)'|(\d[\d.]*))/.exec(comment)
      if (given !== null) comments.set(path.join('.'), given[1] ?? given[2]!)
      comment = ''
    }
    expect(comments.size).toBeGreaterThan(20)
    const different = literals.filter(
      ([key, value]) => value !== null && comments.has(key) && comments.get(key) !== value.replaceAll("'", ''),
    )
    expect(different).toEqual([])
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
