/**
 * OpenDKIM's KeyTable and SigningTable, read as they are (opendkim.conf(5), opendkim(8) DATA SETS): flat files, lists in
 * the configuration (`csl:`), and for the SigningTable `refile:` with its wildcards. Data sets in databases are refused with a word about it.
 */

/** A line of the KeyTable. `%` in domain or key stands for the sender's domain. */
export interface KeyRecord {
  readonly domain: string
  readonly selector: string
  /** A path when it begins with `/`, `./` or `../`, else the key itself. */
  readonly key: string
}

/** A line of the SigningTable. */
export interface SigningRecord {
  readonly pattern: string
  readonly keyName: string
  /** For `i=`; `%` stands for the sender's domain. */
  readonly identity: string | null
}

/** Where a table is: in a file, or written out in the configuration. */
export type DataSet =
  | {
      readonly path: string
      /** Keys are patterns with `*`. */
      readonly patterns: boolean
    }
  | { readonly lines: string }

/** `file:/etc/…`, `refile:/etc/…`, a bare path, or `csl:key=value,key=value`. */
export function parseDataSet(text: string): DataSet {
  const type = /^([a-z]+):/.exec(text)?.[1]
  const rest = type === undefined ? text : text.slice(type.length + 1)
  switch (type) {
    case undefined:
    case 'file':
    case 'refile':
      return { path: rest, patterns: type === 'refile' }
    case 'csl':
      return { lines: rest.replaceAll(/\s*,\s*/g, '\n').replaceAll(/^([^=\n]+)=/gm, '$1 ') }
    default:
      throw new Error(`${text}: only data sets of the types file:, refile: and csl: are read, not ${type}:`)
  }
}

export function parseKeyTable(text: string): ReadonlyMap<string, KeyRecord> {
  const table = new Map<string, KeyRecord>()
  for (const { number, key, value } of linesOf(text)) {
    // The key itself may hold colons only if it is PEM, which comes last.
    const [domain = '', selector = '', ...rest] = value.split(':')
    if (domain === '' || selector === '' || rest.length === 0)
      throw new Error(`line ${number}: "${key}" needs domain:selector:key`)
    if (!table.has(key)) table.set(key, { domain, selector, key: rest.join(':').trim() })
  }
  return table
}

export function parseSigningTable(text: string): readonly SigningRecord[] {
  return linesOf(text).map(({ number, key, value }) => {
    const [keyName = '', identity = ''] = value.split(':').map(part => part.trim())
    if (keyName === '') throw new Error(`line ${number}: "${key}" names no key`)
    return { pattern: key.toLowerCase(), keyName, identity: identity === '' ? null : identity }
  })
}

function linesOf(text: string): { readonly number: number; readonly key: string; readonly value: string }[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const bare = line.replace(/#.*$/, '').trim()
    if (bare === '') return []
    const [, key, value] = /^(\S+)\s+(.+)$/.exec(bare) ?? []
    if (key === undefined || value === undefined) throw new Error(`line ${index + 1}: "${bare}" has no value`)
    return [{ number: index + 1, key, value: value.trim() }]
  })
}

/** The lines that fit an address, in the order in which OpenDKIM looks. */
export function matching(
  records: readonly SigningRecord[],
  patterns: boolean,
  address: string,
  domain: string,
): readonly SigningRecord[] {
  const whole = address.toLowerCase()
  if (patterns) return records.filter(({ pattern }) => wildcard(pattern, whole))
  const user = whole.slice(0, whole.lastIndexOf('@'))
  const labels = domain.split('.')
  const above = labels.slice(1).map((_, index) => `.${labels.slice(index + 1).join('.')}`)
  const keys = [whole, domain, ...above.map(name => `${user}@${name}`), ...above, `${user}@*`, '*']
  return keys.flatMap(key => records.filter(({ pattern }) => pattern === key))
}

/** `*` is any text, all else is itself. Linear in both, whatever the pattern. */
export function wildcard(pattern: string, text: string): boolean {
  const pieces = pattern.split('*')
  const first = pieces[0]!
  if (pieces.length === 1) return text === first
  const last = pieces.at(-1)!
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at)
    if (found < 0 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}
