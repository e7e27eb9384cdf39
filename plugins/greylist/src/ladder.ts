/**
 * What a tarpit, or any other plugin that makes clients prove themselves, shares with the greylist.
 *
 * Found by its key's name, `greylist.ladder`, so that neither plugin imports the other. What always holds: no call rejects
 * because the store is down; then nobody is known, and `greylist` answers as `onStoreError` says.
 */
import { type Client, type ServiceKey, serviceKey } from 'milterhost/plugin'
import type { Engine } from './engine.ts'
import type { SenderParts } from './sender.ts'
import type { Seen } from './store.ts'
import { StoreDown, type StoreGuard } from './store-guard.ts'
import type { Transaction } from './transaction.ts'

/** One recipient of one client, as an event tells of it. */
export interface Who {
  readonly client: Client
  readonly helo: string | null
  /** Without angle brackets; empty for the null sender. */
  readonly sender: string
  readonly recipient: string
}

export interface Ladder {
  /** `known`: the whole origin passes; `passed`: this sender domain from there; `pending`: it has been put off. */
  standing(who: Who, signal: AbortSignal): Promise<'unknown' | 'pending' | 'passed' | 'known'>
  /** Counts like a retry in time. `by`: who vouches, for the log. */
  credit(who: Who, by: string): Promise<void>
  /** Puts off, or lets pass who has waited. `retryAfter`: seconds, 0 when it passes. */
  greylist(who: Who, signal: AbortSignal): Promise<{ readonly pass: boolean; readonly retryAfter: number }>
}

export const LADDER: ServiceKey<Ladder> = serviceKey<Ladder>('greylist.ladder')

/** Who a tarpit asks about is suspicious: that is why it asks. */
const SUSPICIOUS = ['asked-for']

export interface LadderParts {
  readonly engine: Engine
  readonly guard: StoreGuard
  readonly note: (fields: object, message: string) => void
  /** Passes that a suspicious origin needs; 0: never. */
  readonly passes: number
  /** Seconds told to a client that is put off while the store cannot say. */
  readonly fallbackWait: number
}

export function makeLadder({ engine, guard, note, passes, fallbackWait }: LadderParts): Ladder {
  const asked = async (who: Who, signal: AbortSignal) => {
    const transaction = transactionOf(who)
    const origin = await engine.originOf(transaction, signal)
    return { origin, question: await engine.question(origin, transaction, SUSPICIOUS) }
  }
  return {
    async standing(who, signal) {
      try {
        const { question } = await asked(who, signal)
        const { value } = await guard.run(store => store.look(question, signal), signal)
        return standingOf(value, passes, question.now)
      } catch (error) {
        if (error instanceof StoreDown) return 'unknown'
        throw error
      }
    },
    async credit(who, by) {
      try {
        const { origin, question } = await asked(who, new AbortController().signal)
        await guard.run(store => store.credit(question))
        note({ by, origin: origin.text, client: who.client.address }, 'a client has earned its place elsewhere')
      } catch (error) {
        // Told by the guard; the client has to prove itself again.
        if (!(error instanceof StoreDown)) throw error
      }
    },
    async greylist(who, signal) {
      const { verdict, decision } = await engine.ask(transactionOf(who), SUSPICIOUS, signal)
      if (verdict === 'pass') return { pass: true, retryAfter: 0 }
      return { pass: false, retryAfter: decision === null ? fallbackWait : Math.ceil(decision.wait / 1000) }
    },
  }
}

function standingOf(
  { pin, trap, origin, domain, tuples }: Seen,
  passes: number,
  now: number,
): Awaited<ReturnType<Ladder['standing']>> {
  const alive = (mark: { readonly expires: number } | null): boolean => mark !== null && mark.expires > now
  if (alive(pin)) return 'known'
  if (alive(trap)) return 'unknown'
  if (alive(origin) && passes > 0 && origin!.count >= passes) return 'known'
  if (alive(domain)) return 'passed'
  return tuples.some(alive) ? 'pending' : 'unknown'
}

const transactionOf = ({ client, helo, sender, recipient }: Who): Omit<Transaction, 'auth' | 'early' | 'waited'> => ({
  client,
  helo,
  sender: addressOf(sender),
  recipients: [addressOf(recipient)],
  macro: () => undefined,
  spf: null,
})

function addressOf(address: string): SenderParts & { readonly address: string } {
  const at = address.lastIndexOf('@')
  return at < 0
    ? { address, local: address, domain: '' }
    : { address, local: address.slice(0, at), domain: address.slice(at + 1).toLowerCase() }
}
