/**
 * What `milterhost doctor` says: a finding, and the row that can make it.
 *
 * A check is a row of data with one pure question over a `Site`; it opens nothing and asks no MTA, because everything that
 * had to be asked stands in the site. `docs/doctor.md` has every row, and a test keeps table and page equal.
 */
import type { Site } from './site.ts'

/** `wrong`: mail is lost, delayed, unfiltered, or not filtered as configured. `better`: it works, and could work better. */
export type Severity = 'wrong' | 'better'

/** What a check found, in words. */
export interface Found {
  /** One sentence. */
  readonly what: string
  /** File and line, parameter, service or socket. */
  readonly where: string
  /** The exact line to write, or the command to run. */
  readonly write: string
}

export interface Check {
  readonly code: string
  readonly severity: Severity
  /** What is so when nothing is found; the heading in the documentation. */
  readonly title: string
  /** Whether there is anything to look at. @default always */
  applies?(site: Site): boolean
  find(site: Site): readonly Found[]
}

export interface Finding extends Found {
  readonly code: string
  readonly severity: Severity
}

export interface Diagnosis {
  /** Wrong ones first, in the order of the table. */
  readonly findings: readonly Finding[]
  /** Checks that looked and found nothing. */
  readonly well: readonly Pick<Check, 'code' | 'title'>[]
}
