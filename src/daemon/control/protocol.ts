/**
 * What is said over the control socket: one JSON object a line in either direction, an answer for each request, in order.
 *
 * A request is `{"milterhost":1,"do":"status"}`; the answer `{"milterhost":1,"result":{…}}` or
 * `{"milterhost":1,"error":{"code":"…","message":"…"}}`. The number is the version of this protocol: it changes when something
 * that was there goes away or means something else, and a daemon refuses requests of another version; what is added does not change it.
 * Pure; the daemon's side is `server.ts`, that of the commands `client.ts`.
 */

import type { ByteString } from '../../host/bytes.ts'
import { suggestion } from '../../host/config/problem.ts'
import { hostError } from '../../host/errors.ts'
import type { FilterCounts, Outcomes } from '../../host/observe/statistics.ts'
import type { RecordingStatus } from '../record/recorder.ts'
import type { ShadowStatus } from '../shadow/shadow.ts'

export const CONTROL_VERSION = 1
/** Bytes of a request. */
export const LONGEST_REQUEST: number = 16 * 1024

export type ControlRequest =
  | { readonly do: 'status' | 'reload' | 'drain' }
  | { readonly do: 'enable' | 'disable' | 'restart'; readonly filter: string }
  | { readonly do: 'sessions'; readonly limit: number }
  | { readonly do: 'kill'; readonly session: string }

export interface FilterStatus extends FilterCounts {
  readonly name: string
  readonly kind: 'plugin' | 'socket'
  /** Package and version, or the address. */
  readonly what: string
  readonly mode: 'enforce' | 'observe'
  readonly enabled: boolean
  /** `enabled` comes from `milterhost enable` or `disable`, and the configuration says otherwise. */
  readonly overridden: boolean
  readonly health: { readonly state: string; readonly reason: string | null; readonly since: string | null }
}

export interface Status {
  readonly version: string
  readonly pid: number
  readonly state: 'serving' | 'ending'
  /** Seconds. */
  readonly uptime: number
  readonly listen: readonly string[]
  /** Number of the configuration that new sessions get; the first is 1. */
  readonly generation: number
  /** Configurations that still have sessions, the present one included. */
  readonly generations: number
  readonly sessions: number
  readonly messages: Outcomes
  readonly reload: {
    /** When the present configuration was read. */
    readonly at: string
    readonly milliseconds: number
    /** The last one that failed, if it came after that. */
    readonly failed: { readonly at: string; readonly code: string | null; readonly message: string } | null
  }
  readonly filters: readonly FilterStatus[]
  /** Filters that were enabled or disabled by command and that the configuration does not have. */
  readonly ignored: readonly string[]
  /** `null`: nothing is recorded. A daemon of an older release says nothing of it. */
  readonly recording?: RecordingStatus | null
  /** `null`: there is none. */
  readonly shadow?: ShadowStatus | null
}

export interface LiveSession {
  readonly id: string
  /** `name[address]`; `null` before the MTA told. */
  readonly client: string | null
  readonly helo: ByteString | null
  readonly mta: string
  readonly stage: string
  /** Whom it waits for; `null` while it waits for the client. Seconds. */
  readonly waits: {
    readonly filter: string
    readonly stage: string
    readonly held: boolean
    readonly seconds: number
  } | null
  readonly queueId: ByteString | null
  readonly messages: number
  /** Seconds since it began. */
  readonly age: number
  readonly generation: number
}

/** By what was asked. */
export interface ControlResults {
  readonly status: Status
  readonly reload: { readonly generation: number; readonly filters: readonly string[]; readonly milliseconds: number }
  readonly enable: SwitchResult
  readonly disable: SwitchResult
  readonly restart: { readonly filter: string }
  readonly drain: { readonly sessions: number }
  /** Those that wait longest first; `total` of them there are. */
  readonly sessions: { readonly total: number; readonly sessions: readonly LiveSession[] }
  readonly kill: { readonly session: string; readonly ends: 'now' | 'at-next-command' }
}

export interface SwitchResult {
  readonly filter: string
  readonly enabled: boolean
  /** False when it was so before. */
  readonly changed: boolean
  readonly generation: number
}

const WORDS: readonly ControlRequest['do'][] = [
  'status',
  'reload',
  'enable',
  'disable',
  'restart',
  'drain',
  'sessions',
  'kill',
]
const MOST_SESSIONS = 10_000

/** Throws a coded error that says what is wrong with the line. */
export function readRequest(line: string): ControlRequest {
  const wrong = (what: string): Error => hostError('CONTROL_REQUEST', what)
  let given: unknown
  try {
    given = JSON.parse(line)
  } catch {
    throw wrong('it is not JSON')
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw wrong('it is not an object')
  const { milterhost: version, do: word, filter, session, limit = 1000 } = given as Record<string, unknown>
  if (version !== CONTROL_VERSION) throw hostError('CONTROL_VERSION', String(version), CONTROL_VERSION)
  const known = WORDS.find(each => each === word)
  switch (known) {
    case undefined:
      throw wrong(`"do" must be one of ${WORDS.join(', ')}${typeof word === 'string' ? suggestion(word, WORDS) : ''}`)
    case 'enable':
    case 'disable':
    case 'restart':
      if (typeof filter !== 'string') throw wrong(`${known} needs "filter", a name`)
      return { do: known, filter }
    case 'kill':
      if (typeof session !== 'string') throw wrong('kill needs "session", an id')
      return { do: known, session }
    case 'sessions':
      if (!Number.isSafeInteger(limit) || (limit as number) < 1 || (limit as number) > MOST_SESSIONS)
        throw wrong(`"limit" must be a whole number from 1 to ${MOST_SESSIONS}`)
      return { do: known, limit: limit as number }
    default:
      return { do: known }
  }
}

export const requestLine = (request: ControlRequest): string =>
  `${JSON.stringify({ milterhost: CONTROL_VERSION, ...request })}\n`

export const resultLine = (result: object): string => `${JSON.stringify({ milterhost: CONTROL_VERSION, result })}\n`

/** Whatever was thrown; what is no error of the table is a fault of ours, and says so. */
export function errorLine(thrown: unknown): string {
  const { code, message } = controlError(thrown)
  return `${JSON.stringify({ milterhost: CONTROL_VERSION, error: { code, message } })}\n`
}

function controlError(thrown: unknown): { readonly code: string; readonly message: string } {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string')
    return { code: thrown.code, message: thrown.message }
  return hostError('CONTROL_FAULT', thrown instanceof Error ? thrown.message : String(thrown))
}
