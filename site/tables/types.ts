/** The types of options that have tables: where each is declared and explained, and what its options are when nothing is said. */
import { SOCKET_OPTIONS, socket } from '../../src/bridge/milter/entry.ts'
import type { EntryOptions } from '../../src/host/config/entry.ts'
import { configSchema, DEFAULT_LISTEN, entrySchema } from '../../src/host/config/schema.ts'
import { type ConfiguredEntry, validateConfig } from '../../src/host/config/validate.ts'
import { LOOKUP_OPTIONS, readLookupOptions } from '../../src/host/policy/lookup-options.ts'
import { HTTP_OPTIONS } from '../../src/lookups/http.ts'
import { LDAP_OPTIONS } from '../../src/lookups/ldap.ts'
import { POSTFIX_TABLE_OPTIONS } from '../../src/lookups/postfix-table.ts'
import { REDIS_OPTIONS } from '../../src/lookups/redis.ts'
import { SQL_OPTIONS } from '../../src/lookups/sql.ts'
import type { OptionSource, Written } from './options.ts'

interface OptionType extends Omit<OptionSource, 'members'> {
  /** That declares the interface. */
  readonly file: string
  /** That has the tables. */
  readonly page: string
  /** A type that it takes over, and that has tables of its own. */
  readonly extends?: string
}

export const OPTION_TYPES: Readonly<Record<string, OptionType>> = {
  Config: {
    page: 'docs/configuration.md',
    file: 'src/host/config/config.ts',
    schema: configSchema,
    settle: written => validateConfig(written, 'the documentation'),
    least: { listen: { address: DEFAULT_LISTEN }, record: {} },
    // Chosen by the MTA, and by the user.
    later: ['budget.end', 'spool.directory'],
  },
  EntryOptions: {
    page: 'docs/configuration.md',
    file: 'src/host/config/entry.ts',
    schema: entrySchema,
    settle: written => entryWith(written).policy,
    least: { users: ['example.org'] },
    later: [],
  },
  SocketOptions: {
    page: 'docs/configuration.md',
    file: 'src/bridge/milter/entry.ts',
    extends: 'EntryOptions',
    schema: SOCKET_OPTIONS,
    settle: written => written,
    least: {},
    // Chosen when the filter is made.
    later: ['version', 'headerIndex', 'pipelining'],
  },
  LookupOptions: {
    page: 'docs/lookups.md',
    file: 'src/host/policy/lookup-options.ts',
    schema: LOOKUP_OPTIONS,
    settle: written => readLookupOptions('any', {}, written, false).settings,
    least: {},
    later: [],
  },
  SqlOptions: lookup('sql', SQL_OPTIONS, { url: '' }),
  LdapOptions: lookup('ldap', LDAP_OPTIONS, { url: '', base: '', filter: '' }),
  RedisOptions: lookup('redis', REDIS_OPTIONS, { url: '' }),
  HttpOptions: lookup('http', HTTP_OPTIONS, { url: '' }),
  PostfixTableOptions: lookup('postfix-table', POSTFIX_TABLE_OPTIONS, {}),
}

const entryWith = (options: EntryOptions): ConfiguredEntry =>
  validateConfig({ filters: [socket('any', 'inet:1@127.0.0.1', options)] }, 'the documentation').entries[0]!

function lookup(name: string, schema: typeof LOOKUP_OPTIONS, least: Written): OptionType {
  return {
    page: 'docs/lookups.md',
    file: `src/lookups/${name}.ts`,
    extends: 'LookupOptions',
    schema,
    settle: written => schema.parse(written),
    least,
    later: [],
  }
}
