/**
 * The greylist's decision on a transaction: bypass, suspicion, origin, store, in this order.
 *
 * What always holds: one round trip to the store a decision; no decision is begun for a client that has gone; a store that is
 * down, or full, is answered as the postmaster chose, never with an error. Everything it knows of the outside (store, DNS,
 * time) is passed in. The plugin's hooks and the ladder for other plugins call it.
 */
import type { Client, Dns } from 'milterhost/plugin'
import { askedBypass, type BypassRule, staticBypass } from './bypass.ts'
import { Keys } from './keys.ts'
import { type Origin, type OriginFacts, organisation, originOf } from './origin.ts'
import type { Options } from './read-options.ts'
import { asciiDomain, recipientText, senderText } from './sender.ts'
import { SpfDomains } from './spf-domain.ts'
import type { Decision, Question, State } from './store.ts'
import { StoreDown, type StoreGuard } from './store-guard.ts'
import { clientReasons, isOnList, messageReasons, type Reason } from './suspicion.ts'
import { isListed, type Transaction } from './transaction.ts'

export interface Ruling {
  readonly verdict: 'pass' | 'defer'
  /** What decided: a bypass, a state of the store, or what was the matter with it. */
  readonly rule: BypassRule | State | 'unsuspicious' | 'trap' | 'body' | 'store-down'
  readonly reasons: readonly Reason[]
  readonly origin: Origin | null
  /** As the store was asked; `null` when it was not. */
  readonly question: Question | null
  readonly decision: Decision | null
  /** Which store answered. */
  readonly store: string | null
  /** Milliseconds that the decision took. */
  readonly took: number
}

export interface EngineParts {
  readonly options: Options
  readonly guard: StoreGuard
  readonly dns: Dns
  readonly now: () => number
}

/** What stays the same for the messages of one connection. */
export interface ConnectionState {
  reasons: Promise<readonly Reason[]> | null
}

export class Engine {
  readonly #parts: EngineParts
  readonly #spf: SpfDomains
  #keys: Keys | null

  constructor(parts: EngineParts) {
    const { options, dns, now } = parts
    this.#parts = parts
    this.#spf = new SpfDomains(dns, now, options.limits.dnsTime)
    this.#keys = options.secret === undefined ? null : new Keys(options.secret)
  }

  async decide(transaction: Transaction, connection: ConnectionState, signal: AbortSignal): Promise<Ruling> {
    const began = performance.now()
    const { options, dns } = this.#parts
    const answer = (ruling: Omit<Ruling, 'took'>): Ruling => ({ ...ruling, took: performance.now() - began })
    const pass = (rule: Ruling['rule'], reasons: readonly Reason[] = []): Ruling =>
      answer({ verdict: 'pass', rule, reasons, origin: null, question: null, decision: null, store: null })

    const sprung = transaction.recipients.some(recipient => isListed(options.traps.recipients, recipient))
    const bypass = await staticBypass(options.bypass, transaction, sprung)
    if (bypass !== null) return pass(bypass)
    if (sprung) return answer(await this.#trap(transaction, signal))
    connection.reasons ??= clientReasons(options.suspect, transaction, dns, signal)
    const reasons = [...(await connection.reasons), ...(await messageReasons(options.suspect, transaction))]
    // What was broken off half way must not count for the messages after this one.
    if (signal.aborted) connection.reasons = null
    if (options.mode === 'suspicious' && reasons.length === 0)
      return answer(await this.#unsuspicious(transaction, signal))
    const spfDomain = (): Promise<string | null> => this.#spf.find(transaction, signal)
    const asked = await askedBypass(options.bypass, transaction, dns, spfDomain, signal)
    if (asked !== null) return pass(asked, reasons)
    return answer(await this.ask(transaction, reasons, signal))
  }

  /** The store's answer, whatever the bypasses say. */
  async ask(
    transaction: Pick<Transaction, 'client' | 'helo' | 'sender' | 'spf' | 'macro' | 'recipients'>,
    reasons: readonly Reason[],
    signal: AbortSignal,
  ): Promise<Omit<Ruling, 'took'>> {
    const { options, guard } = this.#parts
    const origin = await this.originOf(transaction, signal)
    let question: Question | null = null
    try {
      const asked = await this.question(origin, transaction, reasons)
      question = asked
      signal.throwIfAborted()
      const { value: decision, store } = await guard.run(given => given.check(asked, signal), signal)
      return {
        verdict: this.#verdictOf(decision.state),
        rule: decision.state,
        reasons,
        origin,
        question,
        decision,
        store,
      }
    } catch (error) {
      if (!(error instanceof StoreDown)) throw error
      const verdict = options.onStoreError === 'tempfail' ? 'defer' : 'pass'
      return { verdict, rule: 'store-down', reasons, origin, question, decision: null, store: null }
    }
  }

  /**
   * A retry from another address of a pool: known by its content, which the whole message is needed for. Passes when this
   * very message was put off before and has waited.
   */
  async secondChance(ruling: Ruling, digest: string, signal: AbortSignal): Promise<Ruling> {
    const { question, rule } = ruling
    if (question === null || !(rule === 'new' || rule === 'early' || rule === 'again')) return ruling
    const keys = await this.keys()
    const body: Question = {
      ...question,
      origin: keys.origin(`b:${digest}`),
      domain: keys.domain(''),
      tuples: [keys.tuple('', digest)],
    }
    const { guard } = this.#parts
    try {
      const { value: decision, store } = await guard.run(given => given.check(body, signal), signal)
      if (decision.state !== 'passed') return ruling
      await guard.run(given => given.credit(question), signal)
      await guard.run(given => given.forget(body.origin), signal)
      return { ...ruling, verdict: 'pass', rule: 'body', decision, store }
    } catch (error) {
      if (!(error instanceof StoreDown)) throw error
      return ruling
    }
  }

  /** Remembers further recipients of a transaction that has been put off. */
  async note(
    ruling: Ruling,
    sender: Transaction['sender'],
    recipients: Transaction['recipients'],
    signal: AbortSignal,
  ): Promise<void> {
    const { question } = ruling
    if (question === null || ruling.store === null) return
    const tuples = (await this.#tuples(sender, recipients)).slice(0, this.#parts.options.limits.perTransaction)
    await this.#quietly(store => store.note({ ...question, tuples }, signal), signal)
  }

  /** Where it comes from, as the store knows it. */
  async originOf(
    transaction: Pick<Transaction, 'client' | 'helo' | 'sender' | 'spf' | 'macro'>,
    signal: AbortSignal,
  ): Promise<Origin> {
    return originOf({ ...this.#clientFacts(transaction), spfDomain: await this.#spf.find(transaction, signal) })
  }

  async question(
    origin: Origin,
    { sender, recipients }: Pick<Transaction, 'sender' | 'recipients'>,
    reasons: readonly Reason[],
  ): Promise<Question> {
    const { options, now } = this.#parts
    const keys = await this.keys()
    const { wait, known, window, life, retries, jitter, limits } = options
    const least = isOnList(reasons) ? wait.listed : reasons.length > 0 ? wait.suspicious : wait.ordinary
    const [key, domain] = [keys.origin(origin.text), keys.domain(asciiDomain(sender.domain))]
    return {
      origin: key,
      domain,
      tuples: (await this.#tuples(sender, recipients)).slice(0, limits.perTransaction),
      policy: {
        // The same at every attempt, so that a client which comes back in time is not told to wait anew.
        wait: Math.round(least * (1 + jitter * keys.share(key, domain))),
        window,
        life,
        retries,
        passes: reasons.length > 0 ? known.suspicious : known.after,
        spacing: known.apart,
        pending: limits.perOrigin,
      },
      now: now(),
    }
  }

  /** Forgets what let a message pass that turned out to be bad. */
  async demote({ rule, question, origin }: Ruling, signal: AbortSignal): Promise<void> {
    if (question === null || (rule !== 'known' && rule !== 'domain' && rule !== 'passed')) return
    if (origin?.kind === 'domain' && this.#parts.options.bypass.providers.has(origin.text.slice(2))) return
    await this.#quietly(
      store => (rule === 'known' ? store.forget(question.origin) : store.forget(question.origin, question.domain)),
      signal,
    )
  }

  /**
   * A message that had waited carries a signature of its sender's domain: counts for that domain, which is what its mail is known by
   * once SPF passes too. Known only when the answer has long been given, so it decides nothing.
   */
  async learnSigned(sender: Transaction['sender'], domains: readonly string[], signal: AbortSignal): Promise<void> {
    const domain = organisation(sender.domain)
    if (sender.domain === '' || !domains.some(signer => organisation(signer) === domain)) return
    await this.#quietly(async store => {
      const origin: Origin = { kind: 'domain', text: `d:${domain}` }
      await store.credit(await this.question(origin, { sender, recipients: [] }, []), signal)
    }, signal)
  }

  /** Our own users write to these domains: what comes back from them, with an SPF pass, need not wait. */
  async learnOutbound(domains: Iterable<string>, signal: AbortSignal): Promise<void> {
    const { options, now } = this.#parts
    const at = now()
    const { after, suspicious } = options.known
    await this.#quietly(async store => {
      const keys = await this.keys()
      const mark = { first: at, last: at, count: Math.max(after, suspicious, 1), expires: at + options.life }
      const origins = [...new Set([...domains].map(organisation))].slice(0, options.limits.perTransaction)
      const entries = origins.map(domain => ({
        kind: 'origin' as const,
        origin: keys.origin(`d:${domain}`),
        item: null,
        ...mark,
      }))
      if (entries.length > 0) await store.merge(entries, at)
    }, signal)
  }

  async keys(): Promise<Keys> {
    this.#keys ??= new Keys(await this.#parts.guard.secret())
    return this.#keys
  }

  async #tuples(sender: Transaction['sender'], recipients: Transaction['recipients']): Promise<readonly Uint8Array[]> {
    const keys = await this.keys()
    const from = senderText(sender, this.#parts.options.sender)
    return [...new Set(recipients.map(recipientText))].map(to => keys.tuple(from, to))
  }

  /** Nothing speaks against the client; only a trap it fell into before does. Never waits for the DNS. */
  async #unsuspicious(transaction: Transaction, signal: AbortSignal): Promise<Omit<Ruling, 'took'>> {
    const origin = originOf({ ...this.#clientFacts(transaction), spfDomain: null })
    const passed = { verdict: 'pass', rule: 'unsuspicious', reasons: [], origin, decision: null } as const
    try {
      const question = await this.question(origin, { ...transaction, recipients: [] }, [])
      signal.throwIfAborted()
      const { value, store } = await this.#parts.guard.run(given => given.look(question, signal), signal)
      const { trap, pin } = value
      if (trap === null || trap.expires <= question.now || (pin !== null && pin.expires > question.now))
        return { ...passed, question: null, store }
      const decision: Decision = { state: 'trapped', mark: trap, wait: trap.expires - question.now, now: question.now }
      return { verdict: 'defer', rule: 'trapped', reasons: [], origin, question: null, decision, store }
    } catch (error) {
      if (!(error instanceof StoreDown)) throw error
      return { ...passed, question: null, store: null }
    }
  }

  /** By its address or name only: a domain that SPF names may be that of thousands of innocent users. */
  async #trap(transaction: Transaction, signal: AbortSignal): Promise<Omit<Ruling, 'took'>> {
    const { options, now } = this.#parts
    const origin = originOf({ ...this.#clientFacts(transaction), spfDomain: null })
    const shared = origin.kind === 'name' && options.bypass.providers.has(origin.text.slice(2))
    if (!shared)
      await this.#quietly(async store => {
        const at = now()
        await store.trap((await this.keys()).origin(origin.text), at, at + options.traps.for)
      }, signal)
    return { verdict: 'defer', rule: 'trap', reasons: [], origin, question: null, decision: null, store: null }
  }

  /** A change that no answer depends on: when no store takes it, it is lost, which the guard has told. */
  async #quietly(call: Parameters<StoreGuard['run']>[0], signal: AbortSignal): Promise<void> {
    try {
      await this.#parts.guard.run(call, signal)
    } catch (error) {
      if (!(error instanceof StoreDown)) throw error
    }
  }

  #verdictOf(state: State): Ruling['verdict'] {
    switch (state) {
      case 'pinned':
      case 'known':
      case 'domain':
      case 'passed':
        return 'pass'
      case 'full':
        return this.#parts.options.onFull === 'accept' ? 'pass' : 'defer'
      default:
        return 'defer'
    }
  }

  #clientFacts({ client, macro }: Pick<Transaction, 'client' | 'macro'>): Omit<OriginFacts, 'spfDomain'> {
    const { s25r } = this.#parts.options.suspect
    const ptr = macro('client_ptr')
    return {
      address: client.address,
      name: client.verified ? client.hostname : null,
      unverifiedName: client.hostname ?? (ptr === undefined || ptr === 'unknown' || ptr === '' ? null : ptr),
      dynamic: name => isDynamic(s25r, client, name),
    }
  }
}

function isDynamic(s25r: Options['suspect']['s25r'], { address }: Client, hostname: string): boolean {
  const rule = s25r?.({ address, hostname, verified: true }) ?? null
  return rule !== null
}
