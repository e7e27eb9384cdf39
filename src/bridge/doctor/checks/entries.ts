/**
 * The entries of the chain as checks see them: external milters with their addresses.
 */
import { parseSocketAddress, type SocketAddress } from '../../wire/index.ts'
import type { Site } from '../site.ts'

export interface SocketEntry {
  readonly name: string
  readonly written: string
  readonly address: SocketAddress
  /** Where in the configuration: `filters[2]`. */
  readonly at: string
}

/** The enabled ones whose address can be read; `check` tells of the others. */
export const socketEntries = ({ configuration }: Site): SocketEntry[] =>
  configuration.entries.flatMap(({ entry, policy, at = 'filters' }) => {
    if (entry.kind !== 'socket' || !policy.enabled) return []
    try {
      return [{ name: policy.name, written: entry.describe, address: parseSocketAddress(entry.describe), at }]
    } catch {
      // An address that cannot be read leads nowhere.
      return []
    }
  })
