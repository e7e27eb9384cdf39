/**
 * How many SMTP connections the file descriptors of this process are enough for.
 *
 * When none is left, Node takes a connection and closes it at once, and to an MTA a closed socket is worse than any answer. So
 * sessions are counted against the limit before: those beyond it are told 451 in the protocol. Node itself raises the
 * soft limit to the hard one when it starts.
 */
import { readFileSync } from 'node:fs'
import type { ChainFilter } from '../host/chain/member.ts'

/** For listeners, the spool, databases, queries, logs, and MTAs that are to be told that there is no session. */
const RESERVE = 256

/** Files that this process may have open; `null` where that is not known or not limited. */
export function fileLimit(limits = '/proc/self/limits'): number | null {
  let text: string
  try {
    text = readFileSync(limits, 'latin1')
  } catch {
    // Only Linux has it.
    return null
  }
  const [, soft] = /^Max open files\s+(\d+)/m.exec(text) ?? []
  return soft === undefined ? null : Number(soft)
}

/** Each session may have a connection to each external milter. Never less than 1. */
export function sessionsFor(files: number | null, filters: readonly ChainFilter[]): number {
  if (files === null) return Number.POSITIVE_INFINITY
  const each = 1 + filters.filter(({ filter }) => filter.kind === 'socket').length
  return Math.max(1, Math.floor((files - RESERVE) / each))
}
