/**
 * The table that holds the central policy in a database: one row for each recipient and filter. Pure text.
 *
 * `milterhost policy init --sql` prints how it is made, `sql(url)` reads it, `milterhost policy get, set, list` write it.
 */
import type { Dialect } from './database.ts'

export const POLICY_TABLE = 'milterhost_policy'

/** A plain name, or one with a schema before it. */
export const TABLE_NAME: RegExp = /^[A-Za-z_]\w{0,62}(?:\.[A-Za-z_]\w{0,62})?$/

export const selectPolicy = (table: string): string =>
  `SELECT filter, enabled, options FROM ${table} WHERE recipient = :key ORDER BY filter`

const COMMENT = `-- The central policy of milterhost: which filter is on or off for whom.
--   recipient  an address, a domain, a domain above it, or * for everybody, in lower case; the most specific one counts
--   filter     the name of the filter in the configuration
--   enabled    whether it takes part
--   options    options for that filter as a JSON object; empty for none`

/** The statements that make the table. MySQL's default collation would take "a" and "á" for the same address. */
export function createPolicy(dialect: Dialect['name'], table: string): string {
  const [text, name, end] = {
    postgres: ['text', 'text', ''],
    mysql: ['varchar(320)', 'varchar(64)', ' CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'],
    sqlite: ['text', 'text', ' WITHOUT ROWID'],
  }[dialect]
  return `${COMMENT}
CREATE TABLE IF NOT EXISTS ${table} (
  recipient ${text} NOT NULL,
  filter ${name} NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  options text,
  PRIMARY KEY (recipient, filter)
)${end};
`
}
