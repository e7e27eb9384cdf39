/**
 * Reads the text of a zone file into the zone that `fakeDns` answers from.
 *
 * As much of RFC 1035 §5 as tests of filters write: no `$INCLUDE`, no `\DDD` outside of quotes. TTLs and classes are read over.
 */
import type { DnsFailure, FakeRecords, FakeZone } from './dns.ts'

interface Line {
  readonly number: number
  /** The line begins with a blank: it goes on with the name before it. */
  readonly indented: boolean
  readonly words: readonly Word[]
}

interface Word {
  readonly text: string
  readonly quoted: boolean
}

interface Building {
  a?: string[] | DnsFailure
  aaaa?: string[] | DnsFailure
  mx?: { exchange: string; priority: number }[] | DnsFailure
  txt?: string[] | DnsFailure
  ptr?: string[] | DnsFailure
  cname?: string
}

const FAILURES: readonly string[] = [
  'ENOTFOUND',
  'ENODATA',
  'ESERVFAIL',
  'EREFUSED',
  'ETIMEOUT',
  'EBADNAME',
  'EMSGSIZE',
  'EBUDGET',
  'hang',
]

export function parseZone(text: string): FakeZone {
  const names = new Map<string, Building>()
  let origin = ''
  let owner: string | null = null
  for (const line of linesOf(text)) {
    const [first] = line.words
    if (first === undefined) continue
    if (first.text.toUpperCase() === '$ORIGIN') {
      origin = absolute(wordAt(line, 1).text, origin)
      continue
    }
    if (first.text.toUpperCase() === '$TTL') continue
    if (first.text.startsWith('$')) throw fault(line, `there is no ${first.text}`)
    if (!line.indented) owner = absolute(first.text, origin)
    if (owner === null) throw fault(line, 'there is no name before it to go on with')
    const rest = line.words.slice(line.indented ? 0 : 1).filter((word, at, all) => !isTtlOrClass(word, at, all))
    const [type, ...data] = rest
    if (type === undefined) throw fault(line, 'a record needs a type and data')
    const records = names.get(owner) ?? {}
    names.set(owner, records)
    addRecord(records, type.text.toUpperCase(), data, line, name => absolute(name, origin))
  }
  return Object.fromEntries([...names].map(([name, records]): [string, FakeRecords] => [name, records]))
}

const TYPE = /^(?:A|AAAA|MX|TXT|PTR|CNAME|SOA|NS|SRV|CAA|SPF|TLSA|DS|DNSKEY|RRSIG|NSEC3?|NAPTR|HINFO)$/i

function isTtlOrClass({ text, quoted }: Word, at: number, all: readonly Word[]): boolean {
  const before = all.slice(0, at)
  return !quoted && /^(?:\d+[smhdw]?|IN)$/i.test(text) && before.every((word, i) => isTtlOrClass(word, i, before))
}

function addRecord(
  records: Building,
  type: string,
  data: readonly Word[],
  line: Line,
  name: (text: string) => string,
): void {
  const key = type.toLowerCase()
  if (key !== 'a' && key !== 'aaaa' && key !== 'mx' && key !== 'txt' && key !== 'ptr' && key !== 'cname') {
    if (!TYPE.test(type)) throw fault(line, `${type} is no type of record`)
    return
  }
  const [first] = data
  if (first === undefined) throw fault(line, `the ${type} record has no data`)
  if (key === 'cname') {
    records.cname = name(first.text)
    return
  }
  if (!first.quoted && first.text.startsWith('!')) {
    const code = first.text.slice(1)
    if (!FAILURES.includes(code)) throw fault(line, `${code} is no failure; there are ${FAILURES.join(', ')}`)
    records[key] = code as DnsFailure
    return
  }
  if (typeof records[key] === 'string') throw fault(line, `${type} was said to fail`)
  if (key === 'mx') {
    const exchange = name(wordAt({ ...line, words: data }, 1).text)
    const list = typeof records.mx === 'object' ? records.mx : []
    records.mx = [...list, { exchange, priority: Number(first.text) }]
    return
  }
  const value = key === 'txt' ? data.map(({ text }) => text).join('') : key === 'ptr' ? name(first.text) : first.text
  const list = records[key]
  records[key] = [...(typeof list === 'object' ? list : []), value]
}

function wordAt(line: Line, at: number): Word {
  const word = line.words[at]
  if (word === undefined) throw fault(line, 'something is missing at its end')
  return word
}

/** Without the final dot. */
function absolute(name: string, origin: string): string {
  if (name === '@') return origin
  if (name.endsWith('.')) return name.slice(0, -1).toLowerCase()
  return (origin === '' ? name : `${name}.${origin}`).toLowerCase()
}

/** Comments gone, parentheses joined. */
function* linesOf(text: string): Generator<Line> {
  let words: Word[] = []
  let start: { readonly number: number; readonly indented: boolean } | null = null
  let depth = 0
  const lines = text.split(/\r?\n/)
  // A zone inside of a program is indented as a whole.
  const margin = Math.min(...lines.filter(line => line.trim() !== '').map(line => line.search(/\S/)))
  for (const [index, whole] of lines.entries()) {
    const raw = whole.slice(margin)
    start ??= { number: index + 1, indented: /^\s/.test(raw) }
    for (const [, quoted, mark, bare] of raw.replace(/^\s+/, '').matchAll(TOKEN)) {
      if (mark === '(') depth++
      else if (mark === ')') depth--
      else if (quoted !== undefined) words.push({ text: unescaped(quoted), quoted: true })
      else if (bare !== undefined) words.push({ text: bare, quoted: false })
    }
    if (depth > 0) continue
    yield { ...start, words }
    words = []
    start = null
  }
  if (depth > 0) throw new SyntaxError('the zone ends inside of parentheses')
}

/** A quoted text, a parenthesis, a bare word, or a comment, which is none of them. */
const TOKEN = /"((?:[^"\\]|\\.)*)"|([()])|([^\s"();]+)|;.*/g

const unescaped = (text: string): string =>
  text.replaceAll(/\\(\d{3}|.)/g, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number(code) & 0xff) : code,
  )

const fault = ({ number }: Line, what: string): SyntaxError => new SyntaxError(`line ${number} of the zone: ${what}`)
