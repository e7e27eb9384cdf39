/**
 * The SQLite file of what is remembered: its tables, and how the host's state files are asked for it.
 *
 * What is done with a damaged file is the host's matter. The store calls it.
 */
import type { StateFileOptions } from 'milterhost/plugin'

export type Problem = (fields: object, message: string) => void

export const MEMORY = ':memory:'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS mark (
    key BLOB PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, expires INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS mark_expires ON mark (expires);
  CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
`

export const fileOptions = (path: string, now: () => number, problem: Problem): StateFileOptions => ({
  path,
  name: 'tarpit',
  version: 1,
  schema: SCHEMA,
  probe: 'SELECT key, first, last, count, expires FROM mark LIMIT 1',
  now,
  problem,
})
