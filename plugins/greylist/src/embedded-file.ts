/**
 * The SQLite file of the embedded store: its tables, and how the host's state files are asked for it.
 *
 * What is done with a damaged file is the host's matter. The embedded store calls it.
 */
import type { StateFileOptions } from 'milterhost/plugin'
import type { Problem } from './store.ts'

export const MEMORY = ':memory:'

/** KiB of pages kept: a third of a file at its limit. SQLite's own 2 MB make every other decision read the file. */
const CACHE = 16_384

/** Kinds and times are checked when they are read, whatever the columns say: the file is not only ours. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS mark (
    key BLOB PRIMARY KEY, kind INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    count INTEGER NOT NULL, expires INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
`

export const fileOptions = (path: string, now: () => number, problem: Problem): StateFileOptions => ({
  path,
  name: 'greylist',
  version: 1,
  schema: SCHEMA,
  probe: 'SELECT key, kind, first, last, count, expires FROM mark LIMIT 1',
  cache: CACHE,
  now,
  problem,
})
