/** The types of options that have tables: where each is declared and explained, and what its options are when nothing is said. */
import { socket } from '../../src/bridge/milter/entry.ts'
import type { EntryOptions } from '../../src/host/config/entry.ts'
import { configSchema, DEFAULT_LISTEN, entrySchema } from '../../src/host/config/schema.ts'
import { type ConfiguredEntry, validateConfig } from '../../src/host/config/validate.ts'
import type { OptionSource } from './options.ts'

interface OptionType extends Omit<OptionSource, 'members'> {
  /** That declares the interface. */
  readonly file: string
  /** That has the tables. */
  readonly page: string
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
}

const entryWith = (options: EntryOptions): ConfiguredEntry =>
  validateConfig({ filters: [socket('any', 'inet:1@127.0.0.1', options)] }, 'the documentation').entries[0]!
