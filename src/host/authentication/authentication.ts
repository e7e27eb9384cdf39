/**
 * The authentication results of one SMTP connection: what filters contributed, and the one field that says so.
 *
 * The field of the whole chain is written here and nowhere else. Fields that came with the message and claim our name are gone
 * before the first filter looks, so that no filter can be misled by them; ours is put on top after the last one. Both are
 * edits like a filter's and go through the same engine. What other milters write into headers is never read as a result. A
 * filter that only observes contributes nothing, one that failed has contributed nothing. `Session` owns it.
 */

import { decodeText } from '../bytes.ts'
import type { ChainFilter } from '../chain/member.ts'
import type { AuthenticationSettings } from '../config/settings.ts'
import { applyEdits } from '../message/apply.ts'
import type { MessageSnapshot } from '../message/snapshot.ts'
import { forgedFields } from './forged.ts'
import { type AuthResult, copyOf, fieldValue } from './result.ts'

/** How long a contribution holds: for the connection, until the next HELO, or for the message. */
export type AuthScope = 'connect' | 'helo' | 'message'

/** Of one filter in one scope; a chain of honest filters has a handful. */
const MOST_RESULTS = 64

/** Some filter of the chain contributes results that count. */
export const contributes = (filters: readonly ChainFilter[]): boolean =>
  filters.some(({ filter, policy }) => policy.mode === 'enforce' && filter.needs()?.authResults === true)

/** One filter's way to contribute, for as long as one of its sessions. */
export interface Contributor {
  readonly authservId: string | null
  results(): readonly AuthResult[]
  /** `false`: there are too many. */
  add(scope: AuthScope, result: AuthResult): boolean
}

type Contributions = Record<AuthScope, AuthResult[]>

const NONE: ReadonlyMap<string, Contributions> = new Map()

class FilterContributor implements Contributor {
  readonly #authentication: Authentication
  readonly #own: Contributions | undefined

  /** `own`: where results go; `undefined`: they do not count. */
  constructor(authentication: Authentication, own: Contributions | undefined) {
    this.#authentication = authentication
    this.#own = own
  }

  get authservId(): string | null {
    return this.#authentication.authservId
  }

  results(): readonly AuthResult[] {
    return this.#authentication.results()
  }

  add(scope: AuthScope, result: AuthResult): boolean {
    const own = this.#own
    if (own === undefined) return true
    if (own[scope].length >= MOST_RESULTS) return false
    own[scope].push(copyOf(result))
    return true
  }
}

export class Authentication {
  readonly #settings: AuthenticationSettings
  readonly #hostname: () => string | undefined
  /** In the order of the chain. */
  readonly #byFilter: ReadonlyMap<string, Contributions>
  readonly #inUse: boolean

  /** `hostname`: what the MTA calls itself. */
  constructor(settings: AuthenticationSettings, filters: readonly ChainFilter[], hostname: () => string | undefined) {
    this.#settings = settings
    this.#hostname = hostname
    this.#inUse = contributes(filters)
    this.#byFilter = this.#inUse
      ? new Map(filters.map(({ policy }) => [policy.name, { connect: [], helo: [], message: [] }]))
      : NONE
  }

  /** The end of the message is needed, whoever else wants it. */
  get inUse(): boolean {
    return this.#inUse
  }

  get authservId(): string | null {
    const name = this.#settings.authservId ?? decodeText(this.#hostname() ?? '')
    return name === '' ? null : name
  }

  /** All that was contributed so far, in the order of the chain. */
  results(): readonly AuthResult[] {
    if (!this.#inUse) return []
    return [...this.#byFilter.values()].flatMap(({ connect, helo, message }) => [...connect, ...helo, ...message])
  }

  /** A session of that filter begins: it will be told, and will say, anew what an earlier one has said. */
  contributor(filter: string, counts: boolean): Contributor {
    this.forget(filter)
    const own = counts ? this.#byFilter.get(filter) : undefined
    return new FilterContributor(this, own)
  }

  forget(filter: string): void {
    const own = this.#byFilter.get(filter)
    if (own !== undefined) Object.assign(own, { connect: [], helo: [], message: [] } satisfies Contributions)
  }

  beginHelo(): void {
    this.#drop('helo')
  }

  beginMessage(): void {
    this.#drop('message')
  }

  /** The message without the fields that claim to be ours. */
  cleaned(message: MessageSnapshot): MessageSnapshot {
    if (!this.#inUse && !this.#settings.removeForged) return message
    const names = new Set([this.authservId, ...this.#settings.removeAlso].flatMap(name => name?.toLowerCase() ?? []))
    const edits = forgedFields(message.headers, names)
    return edits.length === 0 ? message : applyEdits(message, edits, 'sendmail').message
  }

  /** The message with the results of the whole chain on top, when there are any. */
  stamped(message: MessageSnapshot): MessageSnapshot {
    const results = this.results()
    const id = this.authservId
    if (results.length === 0 || id === null) return message
    const value = fieldValue(id, results)
    const edit = { kind: 'insertHeader', index: 0, name: 'Authentication-Results', value } as const
    return applyEdits(message, [edit], 'sendmail').message
  }

  #drop(scope: AuthScope): void {
    if (!this.#inUse) return
    for (const own of this.#byFilter.values()) own[scope] = []
  }
}
