/**
 * `postfixTable('hash:/etc/postfix/users')`: the tables that Postfix has already, spelt as in main.cf.
 *
 * Files are read whole into memory and again when they change; `socketmap:` and `tcp:` ask their server. Fixed keys are folded
 * to lower case, as postmap does; patterns see the key as it is. Tables in LDAP, SQL and Redis have look-ups of their own, which need no
 * proxymap.
 */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { hostError } from '../host/errors.ts'
import type { MaybePromise } from '../host/filter.ts'
import { guardedEntry } from '../host/policy/guard.ts'
import type { LookupEntry, LookupEnvironment, Source } from '../host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../host/policy/lookup-options.ts'
import { readCdb } from './postfix/cdb.ts'
import { dumpTable } from './postfix/dump.ts'
import { braced } from './postfix/inline.ts'
import { readCidr, readPcre, readRegexp } from './postfix/patterns.ts'
import { type ReadTest, readRules } from './postfix/rules.ts'
import { readInline, readTexthash } from './postfix/texthash.ts'
import { socketmapSource } from './socketmap.ts'
import { tcpTableSource } from './tcp-table.ts'
import { WatchedFile } from './watched-file.ts'

export interface PostfixTableOptions<T = string> extends LookupOptions<T> {
  /** The program that reads `hash`, `btree` and `lmdb` tables. @default '/usr/sbin/postmap' */
  readonly postmap?: string
  /** Most connections at once, of `socketmap:` and `tcp:`. @default 5 */
  readonly connections?: number
}

const own = {
  postmap: z.string().describe('path').default('/usr/sbin/postmap'),
  connections: z.int().min(1).default(5).describe('whole number, at least 1'),
}

/** The options of its own. */
export const POSTFIX_TABLE_OPTIONS: z.ZodObject = z.strictObject(own)

type Find = (key: string) => string | null

/** What a table's file is, by type: its ending, and how it is read. */
interface FileType {
  readonly ending: string
  readonly read: (path: string, table: string, postmap: string) => Promise<Find>
}

const fixed =
  (table: ReadonlyMap<string, string>): Find =>
  key =>
    table.get(key.toLowerCase()) ?? null
const dumped = (ending: string): FileType => ({
  ending,
  read: async (_path, table, postmap) => fixed(await dumpTable(postmap, table)),
})
const rules = (readTest: ReadTest): FileType => ({
  ending: '',
  read: async path => readRules(await readFile(path, 'utf8'), readTest),
})

const FILES: Readonly<Record<string, FileType>> = {
  hash: dumped('.db'),
  btree: dumped('.db'),
  lmdb: dumped('.lmdb'),
  cdb: { ending: '.cdb', read: async path => fixed(readCdb(await readFile(path))) },
  texthash: { ending: '', read: async path => fixed(readTexthash(await readFile(path, 'utf8'))) },
  regexp: rules(readRegexp),
  pcre: rules(readPcre),
  cidr: rules(readCidr),
}
const PATTERNS: Readonly<Record<string, ReadTest>> = { regexp: readRegexp, pcre: readPcre, cidr: readCidr }
const SERVERS: Readonly<Record<string, (where: string, connections: number) => Source>> = {
  socketmap: socketmapSource,
  tcp: tcpTableSource,
}
const TYPES = [...Object.keys(FILES), 'inline', ...Object.keys(SERVERS)]

/**
 * A table of Postfix. The value is the text that the table has for the key, unless `schema` makes something else of it.
 *
 * @param table `type:name` as in main.cf: `hash:/etc/postfix/users`, `pcre:/etc/postfix/clients.pcre`, `inline:{ a = b }`,
 *   `socketmap:unix:/run/map.sock:users`. Types: hash btree lmdb cdb texthash regexp pcre cidr inline socketmap tcp.
 * @example postfixTable('hash:/etc/postfix/no-greylist')
 */
export function postfixTable<T = string>(table: string, options: PostfixTableOptions<T> = {}): LookupEntry<T> {
  const [, type, name] = typeof table === 'string' ? (/^([a-z]+):(.+)$/s.exec(table) ?? []) : []
  const refuse = (what: string): never => {
    throw hostError('LOOKUP_OPTIONS', options.name ?? 'postfixTable', what)
  }
  if (type === undefined || name === undefined || !TYPES.includes(type)) {
    return refuse(`must be type:name with one of the types ${TYPES.join(', ')}, not ${JSON.stringify(table)}`)
  }
  const isServer = type in SERVERS
  const read = readLookupOptions<T, typeof own>('postfixTable', own, options, !isServer)
  const { postmap, connections } = read.own
  const { settings } = read
  try {
    if (isServer) {
      // Says now what is wrong with the address; connections are made when they are needed.
      const make = (): Source => SERVERS[type]!(name, connections)
      make()
      return guardedEntry(table, settings, make)
    }
    const text = inlineText(type, name)
    if (text !== null) {
      const find = type === 'inline' ? fixed(readInline(text)) : readRules(text, PATTERNS[type]!)
      return guardedEntry(`${type}: in the configuration`, settings, () => ({
        get: find,
        probe: () => {},
        close: () => {},
      }))
    }
  } catch (error) {
    return refuse(`${table}: ${(error as Error).message}`)
  }
  if (!name.startsWith('/'))
    return refuse(`${table}: the file must be named from the root, as in ${type}:/etc/postfix/users`)
  const { ending, read: readFileOf } = FILES[type]!
  return guardedEntry(table, settings, around =>
    fileSource(`${name}${ending}`, path => readFileOf(path, table, postmap), around),
  )
}

/** The table itself where it stands in braces: `inline:{ … }`, `regexp:{ { rule }, { rule } }`. */
function inlineText(type: string, name: string): string | null {
  if (type === 'inline') return name
  return type in PATTERNS && name.startsWith('{') ? braced(name).join('\n') : null
}

async function fileSource(
  path: string,
  read: (path: string) => Promise<Find>,
  around: LookupEnvironment,
): Promise<Source> {
  const file = await WatchedFile.open(path, read, around)
  return {
    get: (key): MaybePromise<string | null> => file.value(key),
    probe: () => file.probe(),
    readAt: () => file.readAt,
    close: () => file.close(),
  }
}
