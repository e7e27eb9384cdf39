/**
 * What aggregate reports are made of: how often which address sent what for which domain, by day, in an embedded database.
 *
 * It holds no recipient and no content, and what is older than a month goes. Rows of one kind are one row with a count. A
 * report never comes before mail: whoever records must live with an error. Opened by the plugin, and by `milterhost dmarc`
 * beside it.
 */
import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { openStateFile, type StateFileOptions } from 'milterhost/plugin'
import type { DmarcResult, PolicyName, Published } from '../dmarc/evaluate.ts'
import type { Signature } from '../verify/dkim.ts'

/** One kind of message of one day. */
export interface ReportRow {
  readonly address: string
  readonly headerFrom: string
  /** Domain of the envelope sender, empty for none. */
  readonly envelopeFrom: string
  readonly published: Published
  readonly disposition: PolicyName | 'pass'
  readonly override: string | null
  readonly aligned: DmarcResult['aligned']
  readonly dkim: readonly Signature[]
  readonly spf: { readonly domain: string; readonly result: string; readonly scope: 'mfrom' | 'helo' } | null
}

export interface CountedRow extends ReportRow {
  readonly count: number
}

const DAY = 86_400_000
const KEPT = 32 * DAY
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS seen (day INTEGER, domain TEXT, key BLOB, row TEXT, count INTEGER,
    PRIMARY KEY (day, domain, key)) WITHOUT ROWID;
`

export class ReportStore {
  readonly #database: DatabaseSync
  readonly #add: ReturnType<DatabaseSync['prepare']>
  #pruned = 0

  /** Makes the file and its folder when they are missing, for their owner alone. Throws when they cannot be used. */
  constructor(path: string, { now, problem }: Pick<StateFileOptions, 'now' | 'problem'>) {
    this.#database = openStateFile({
      path,
      name: 'DMARC',
      version: 1,
      schema: SCHEMA,
      probe: 'SELECT day, domain, key, row, count FROM seen LIMIT 1',
      now,
      problem,
    }).db
    this.#add = this.#database.prepare(
      'INSERT INTO seen VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1',
    )
  }

  /** `now`: ms since 1970. */
  add(row: ReportRow, now: number): void {
    const day = Math.floor(now / DAY)
    const text = JSON.stringify(row)
    this.#add.run(day, row.published.domain, createHash('sha256').update(text).digest().subarray(0, 16), text)
    if (this.#pruned === day) return
    this.#pruned = day
    this.#database.prepare('DELETE FROM seen WHERE day < ?').run(Math.floor((now - KEPT) / DAY))
  }

  /** Domains with a policy that was seen in those days: `from` included, `until` not; ms since 1970. */
  domains(from: number, until: number): readonly string[] {
    const rows = this.#database
      .prepare('SELECT DISTINCT domain FROM seen WHERE day >= ? AND day < ? ORDER BY domain')
      .all(Math.floor(from / DAY), Math.ceil(until / DAY))
    return rows.map(({ domain }) => String(domain))
  }

  rows(domain: string, from: number, until: number): readonly CountedRow[] {
    const rows = this.#database
      .prepare(
        'SELECT row, sum(count) AS count FROM seen WHERE domain = ? AND day >= ? AND day < ? GROUP BY key ORDER BY count DESC, row',
      )
      .all(domain, Math.floor(from / DAY), Math.ceil(until / DAY))
    return rows.map(({ row, count }) => ({ ...(JSON.parse(String(row)) as ReportRow), count: Number(count) }))
  }

  close(): void {
    this.#database.close()
  }
}
