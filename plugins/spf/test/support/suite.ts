/**
 * The RFC 7208 test suite as cases and as the answers of a name server.
 *
 * `rfc7208-tests.yml` is the suite of 2014.04 (openspf.org; Stuart Gathman and others), as pyspf and Debian's python3-spf ship it
 * (`/usr/share/doc/python3-spf/rfc7208-tests.yml.gz`), unchanged, under its BSD-style licence. Of its zones: `SPF` records stand for TXT records unless
 * the name has TXT records of its own, `TXT: NONE` is none, `TIMEOUT` is no answer to whatever the name has no records for.
 */
import { readFileSync } from 'node:fs'
import type { Answer } from 'dns-packet'
import { parseAllDocuments } from 'yaml'
import { type Answerer, type Asked, type Said, zone } from '../../../../test/dns/support/server.ts'
import type { Result } from '../../src/engine.ts'

export interface SuiteCase {
  readonly scenario: string
  readonly name: string
  readonly ip: string
  readonly helo: string
  readonly sender: string
  /** Any of them is right. */
  readonly results: readonly Result[]
  readonly explanation: string | null
  readonly answer: Answerer
}

type Text = string | readonly string[]
type ZoneRecord = 'TIMEOUT' | { readonly [type: string]: Text | readonly [number, string] }

interface Scenario {
  readonly description: string
  readonly tests: Readonly<
    Record<
      string,
      {
        readonly helo: string | null
        readonly host: string
        readonly mailfrom: string | null
        readonly result: string | readonly string[]
        readonly explanation?: string
      }
    >
  >
  readonly zonedata: Readonly<Record<string, readonly ZoneRecord[]>>
}

export function suiteCases(): SuiteCase[] {
  const text = readFileSync(new URL('../rfc7208-tests.yml', import.meta.url), 'utf8')
  return parseAllDocuments(text, { uniqueKeys: false }).flatMap(document => {
    const scenario = document.toJS() as Scenario | null
    if (scenario === null) return []
    const answer = answererOf(scenario.zonedata)
    return Object.entries(scenario.tests).map(([name, test]) => ({
      scenario: scenario.description,
      name,
      ip: test.host,
      helo: test.helo ?? '',
      sender: test.mailfrom ?? '',
      results: [test.result].flat() as Result[],
      explanation: test.explanation ?? null,
      answer,
    }))
  })
}

function answererOf(zonedata: Scenario['zonedata']): Answerer {
  const records: Answer[] = []
  const silent = new Set<string>()
  for (const [owner, list] of Object.entries(zonedata)) {
    const name = owner.toLowerCase().replace(/\.$/, '')
    const typed = list.filter(record => record !== 'TIMEOUT')
    if (typed.length < list.length) silent.add(name)
    const hasTxt = typed.some(record => 'TXT' in record)
    for (const record of typed) {
      const [type, data] = Object.entries(record)[0]!
      records.push(...recordsOf(name, type, data, hasTxt))
    }
  }
  const answers = zone(records)
  return (asked: Asked): Said | null => {
    const said = answers(asked)
    return (said.answers ?? []).length === 0 && silent.has(asked.name) ? null : said
  }
}

function recordsOf(name: string, type: string, data: unknown, hasTxt: boolean): Answer[] {
  if (type === 'SPF') return hasTxt ? [] : recordsOf(name, 'TXT', data, true)
  if (type === 'TXT') {
    if (data === 'NONE') return []
    const pieces = [data as Text].flat().flatMap(piece => piece.match(/[\s\S]{1,255}/g) ?? [''])
    return [
      {
        name,
        type: 'TXT',
        ttl: 60,
        data: (pieces.length === 0 ? [''] : pieces).map(piece => Buffer.from(piece, 'latin1')),
      },
    ]
  }
  if (type === 'MX') {
    const [preference, exchange] = data as readonly [number, string]
    return [{ name, type: 'MX', ttl: 60, data: { preference, exchange: exchange === '' ? '.' : exchange } }]
  }
  return [{ name, type: type as 'A', ttl: 60, data: data as string }]
}
