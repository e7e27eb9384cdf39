/**
 * What the SQL look-up asks of a database, whichever it is. A driver knows one product, and nothing of policies and values.
 */
import type { ConnectionOptions } from 'node:tls'
import type { Row } from './query.ts'

export interface Database {
  readonly dialect: Dialect
  /** Rejects with `KeyRefused` when a parameter does not fit, with anything else when the database cannot answer. */
  query(text: string, values: readonly unknown[], signal: AbortSignal): Promise<readonly Row[]> | readonly Row[]
  /** All of them or none. */
  transaction(statements: readonly (readonly [text: string, values: readonly unknown[]])[]): Promise<void>
  close(): Promise<void>
}

/** How a product spells things. */
export interface Dialect {
  readonly name: 'postgres' | 'mysql' | 'sqlite'
  readonly mark: (number: number) => string
}

export interface DatabaseOptions {
  readonly lookup: string
  readonly url: string
  /** Most connections. */
  readonly connections: number
  /** Milliseconds for connecting, and for a statement. */
  readonly timeout: number
  readonly tls: ConnectionOptions | boolean | undefined
  readonly writable: boolean
}
