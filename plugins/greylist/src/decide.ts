/**
 * The decision itself: from what is remembered to an answer and to what is to be remembered.
 *
 * Pure, and small enough to be said again in Lua: no clock, no keys, no I/O. What always holds: a pin passes whatever else is
 * known, then a trap stops; a mark of the future (a clock that was set back) has age 0 and is begun anew; nothing is
 * written for a decision that changes nothing, so that known mail needs no write. Renewing is done at most once an hour.
 */
import type { Decision, Mark, Policy, Seen } from './store.ts'

/** What is to be remembered; `null` takes it away. What is not named stays as it is. */
export interface Changes {
  readonly origin?: Mark
  readonly domain?: Mark
  readonly pending?: Mark | null
  /** By the place of the tuple in the question. */
  readonly tuples: ReadonlyMap<number, Mark | null>
}

export interface Outcome {
  readonly decision: Decision
  readonly changes: Changes
}

const NOTHING: Changes = { tuples: new Map() }

/** A life is stretched only when this much of it is gone: a busy sender must not cost a write for each message. Milliseconds. */
const RENEWAL = 3_600_000

export function decide(given: Seen, policy: Policy, now: number): Outcome {
  const seen = live(given, policy, now)
  const { pin, trap, origin, domain } = seen
  const pass = (state: 'pinned' | 'known' | 'domain', mark: Mark, changes: Changes = NOTHING): Outcome => ({
    decision: { state, mark, wait: 0, now },
    changes,
  })
  if (pin !== null) return pass('pinned', pin)
  if (trap !== null)
    return { decision: { state: 'trapped', mark: trap, wait: trap.expires - now, now }, changes: NOTHING }
  if (origin !== null && policy.passes > 0 && origin.count >= policy.passes) {
    const renewed = renew(origin, policy, now)
    return pass('known', origin, renewed === null ? NOTHING : { origin: renewed, tuples: new Map() })
  }
  if (domain !== null) {
    // A pass may be counted for the origin when the last one is far enough back, whatever domain that was.
    if (origin === null || now - origin.last >= policy.spacing) return pass('domain', domain, learn(seen, policy, now))
    const renewed = renew(domain, policy, now)
    return pass('domain', domain, renewed === null ? NOTHING : { domain: renewed, tuples: new Map() })
  }
  return tuples(seen, policy, now)
}

/** The first recipient whose tuple is old enough lets the transaction pass; else each is remembered. */
function tuples(seen: Seen, policy: Policy, now: number): Outcome {
  const changes = new Map<number, Mark>()
  let best: Mark | null = null
  let ripe: Mark | null = null
  for (const [at, mark] of seen.tuples.entries()) {
    if (mark === null) continue
    const first = Math.min(mark.first, now)
    const aged = now - first >= policy.wait
    const count = mark.count + (aged ? 1 : 0)
    if (aged && count >= policy.retries) {
      return { decision: { state: 'passed', mark, wait: 0, now }, changes: learn(seen, policy, now, done(seen)) }
    }
    changes.set(at, { first, last: now, count, expires: first + policy.window })
    if (aged) ripe ??= mark
    if (best === null || first < best.first) best = { ...mark, first }
  }
  const { added, pending } = room(seen, policy, now, changes)
  if (best === null && added === 0)
    return { decision: { state: 'overflow', mark: null, wait: policy.wait, now }, changes: NOTHING }
  const state = ripe !== null ? 'again' : best !== null ? 'early' : 'new'
  const wait = ripe !== null ? 0 : Math.max(0, policy.wait - (best === null ? 0 : now - best.first))
  return {
    decision: { state, mark: ripe ?? best, wait, now },
    changes: { tuples: changes, ...(pending === null ? {} : { pending }) },
  }
}

/** Further recipients of a transaction that is put off: remembered, never counted. */
export function note(given: Seen, policy: Policy, now: number): Changes {
  const seen = live(given, policy, now)
  if (seen.pin !== null || seen.trap !== null) return NOTHING
  const changes = new Map<number, Mark>()
  const { pending } = room(seen, policy, now, changes)
  return { tuples: changes, ...(pending === null ? {} : { pending }) }
}

/** A pass that was earned elsewhere. */
export function credit(given: Seen, policy: Policy, now: number): Changes {
  const seen = live(given, policy, now)
  if (seen.trap !== null && seen.pin === null) return NOTHING
  const known = seen.domain !== null && seen.origin !== null && now - seen.origin.last < policy.spacing
  return known ? { tuples: done(seen) } : learn(seen, policy, now, done(seen))
}

/** Tuples whose sender domain is known have done their work. */
const done = ({ tuples }: Seen): ReadonlyMap<number, null> =>
  new Map(tuples.flatMap((mark, at) => (mark === null ? [] : [[at, null]])))

/** Adds marks for tuples without one, as far as the origin has room. */
function room(
  seen: Seen,
  policy: Policy,
  now: number,
  changes: Map<number, Mark>,
): { readonly added: number; readonly pending: Mark | null } {
  const before = seen.pending
  let added = 0
  for (const [at, mark] of seen.tuples.entries()) {
    if (mark !== null) continue
    if ((before?.count ?? 0) + added >= policy.pending) break
    changes.set(at, { first: now, last: now, count: 0, expires: now + policy.window })
    added++
  }
  if (added === 0) return { added, pending: null }
  // Counted from its first tuple to the end of that one's window, then anew: marks that expire cannot be counted down everywhere.
  const { first, expires } = before ?? { first: now, expires: now + policy.window }
  return { added, pending: { first, last: now, count: (before?.count ?? 0) + added, expires } }
}

/** The sender domain is known from now on, and the origin has one pass more. */
function learn(seen: Seen, policy: Policy, now: number, taken: ReadonlyMap<number, null> = new Map()): Changes {
  const { origin, domain, pending } = seen
  const expires = now + policy.life
  const left = (pending?.count ?? 0) - taken.size
  return {
    domain: { first: domain?.first ?? now, last: now, count: (domain?.count ?? 0) + 1, expires },
    origin: { first: origin?.first ?? now, last: now, count: (origin?.count ?? 0) + 1, expires },
    ...(taken.size > 0 && pending !== null ? { pending: left > 0 ? { ...pending, count: left } : null } : {}),
    tuples: taken,
  }
}

function renew(mark: Mark, { life }: Policy, now: number): Mark | null {
  const expires = now + life
  return expires - mark.expires >= Math.min(RENEWAL, life / 2) ? { ...mark, expires } : null
}

/** What has expired is not there; neither is a tuple whose window is over, whatever window it was stored with. */
function live(seen: Seen, { window }: Policy, now: number): Seen {
  const alive = (mark: Mark | null): Mark | null => (mark !== null && mark.expires > now ? mark : null)
  return {
    pin: alive(seen.pin),
    trap: alive(seen.trap),
    origin: alive(seen.origin),
    pending: alive(seen.pending),
    domain: alive(seen.domain),
    tuples: seen.tuples.map(mark => (mark !== null && now - mark.first > window ? null : alive(mark))),
  }
}

/** Two stores know the same key: what speaks for the client counts. */
export const mergeMarks = (a: Mark, b: Mark): Mark => ({
  first: Math.min(a.first, b.first),
  last: Math.max(a.last, b.last),
  count: Math.max(a.count, b.count),
  expires: Math.max(a.expires, b.expires),
})
