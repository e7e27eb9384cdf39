/**
 * Options that are right one by one and make no sense together: with them nobody would ever pass, or one would do nothing.
 *
 * Each is told at the option that should change, with the values that do not go together. Pure; the reading of the options calls
 * it when each option by itself is right.
 */
import type { Options } from './read-options.ts'
import { replies } from './report.ts'

export interface Contradiction {
  /** The option's name, with dots. */
  readonly path: string
  /** Completes "option ‹path›: …". */
  readonly message: string
}

export function contradictions(options: Options): readonly Contradiction[] {
  return [windowTooShort, neverKnown, localWithoutUse, storeTimeTooShort, replyThatCannotBeSent].flatMap(
    check => check(options) ?? [],
  )
}

type Check = (options: Options) => Contradiction | null

/** A retry has to come after the wait and before the window is over. */
const windowTooShort: Check = ({ mode, wait, jitter, window, suspect }) => {
  const used = [
    ...(mode === 'all' ? (['ordinary'] as const) : []),
    'suspicious' as const,
    ...(suspect.dnsbl.length > 0 ? (['listed'] as const) : []),
  ]
  const longest = used.reduce((most, name) => (wait[name] > wait[most] ? name : most))
  const needed = wait[longest] * (1 + jitter)
  if (window > needed) return null
  return {
    path: 'window',
    message: `${length(window)} is over before wait.${longest} (${length(needed)} with its jitter), so that no retry would pass; make it longer, such as "24h"`,
  }
}

/** The passes of an origin are counted at this distance, and forgotten after its life. */
const neverKnown: Check = ({ known: { after, suspicious, apart }, life }) =>
  Math.max(after, suspicious) < 2 || apart < life
    ? null
    : {
        path: 'known.apart',
        message: `must be shorter than life, which is ${length(life)}, or an origin is forgotten before its next pass counts`,
      }

const localWithoutUse: Check = ({ store, onStoreError, localStore }) => {
  if (onStoreError === 'local' && store.kind === 'embedded')
    return {
      path: 'onStoreError',
      message: "'local' is for a Redis, which hosts share; this store is local already: take 'accept' or 'tempfail'",
    }
  if (localStore !== undefined && onStoreError !== 'local')
    return { path: 'localStore', message: "is only used with onStoreError: 'local'" }
  return null
}

const storeTimeTooShort: Check = ({ store, limits }) =>
  store.kind === 'redis' && store.timeout > limits.storeTime
    ? {
        path: 'limits.storeTime',
        message: `may not be shorter than store.timeout, the limit of one command, which is ${length(store.timeout)}`,
      }
    : null

const replyThatCannotBeSent: Check = options => {
  try {
    replies(options)
    return null
  } catch (error) {
    return { path: 'reply', message: `cannot be sent: ${(error as Error).message}` }
  }
}

/** In the largest unit that it is a whole number of. */
function length(milliseconds: number): string {
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 }
  const found = Object.entries(units).find(([, size]) => milliseconds % size === 0)
  return found === undefined ? `${Math.round(milliseconds)}ms` : `${milliseconds / found[1]}${found[0]}`
}
