/**
 * What is told of a decision: its record for the log, the words of the reply, the header, and numbers kept over restarts.
 *
 * The record has the same fields at every answer, so that a log can be searched and replayed. The reply tells a client nothing
 * of how long it has to wait, unless the postmaster wants it to.
 */
import { tempfail, type Verdict } from 'milterhost/plugin'
import type { Ruling } from './engine.ts'
import type { Options } from './read-options.ts'
import type { Store } from './store.ts'

/** Times in seconds, `ms` in milliseconds. */
export function decisionRecord({ verdict, rule, reasons, origin, question, decision, store, took }: Ruling): object {
  const mark = decision?.mark ?? null
  return {
    verdict,
    rule,
    reasons,
    origin: origin?.text ?? null,
    originKind: origin?.kind ?? null,
    key: question === null ? null : Buffer.from(question.origin).toString('base64url'),
    first: mark === null ? null : new Date(mark.first).toISOString(),
    age: mark === null ? null : seconds(decision!.now - mark.first),
    need: question === null ? null : seconds(question.policy.wait),
    left: decision === null || verdict === 'pass' ? null : Math.ceil(decision.wait / 1000),
    store,
    ms: Math.round(took * 1000) / 1000,
  }
}

/** What the reply may have to say, in seconds: ten years. */
const LONGEST_WAIT = 315_360_000

/** Makes the replies; throws at once when the postmaster's text cannot be sent. */
export function replies({ reply, quiet }: Pick<Options, 'reply' | 'quiet'>): (ruling: Ruling) => Verdict {
  const { code, enhanced, url } = reply
  const lines = typeof reply.text === 'string' ? [reply.text] : [...reply.text]
  const make = (seconds: number): Verdict => {
    const last = [lines.at(-1)!, seconds > 0 ? `in ${seconds} seconds` : '', url ?? '']
      .filter(part => part !== '')
      .join(' ')
    return tempfail([...lines.slice(0, -1), last], { code, enhanced })
  }
  const plain = make(0)
  if (!quiet) make(LONGEST_WAIT)
  // A store that cannot be asked is our trouble, and no greylisting.
  const down = tempfail('Temporary local problem, try again later', { code: 451, enhanced: '4.3.0' })
  return ({ rule, decision }) => {
    if (rule === 'store-down') return down
    const left = decision === null ? 0 : Math.ceil(decision.wait / 1000)
    return quiet || left === 0 ? plain : make(left)
  }
}

/** The value of the header on mail that passed; nothing in it comes from the client. */
export function headerText({ rule, origin, decision, store }: Ruling): string {
  const delay = rule === 'passed' && decision?.mark ? `; delay=${seconds(decision.now - decision.mark.first)}` : ''
  const asked = store === null ? '' : `; store=${store.replaceAll(' ', '-')}`
  return `passed; rule=${rule}${origin === null ? '' : `; origin=${origin.kind}`}${delay}${asked}`
}

const seconds = (milliseconds: number): number => Math.max(0, Math.round(milliseconds / 1000))

/** Upper ends of the steps of delay that passed mail is counted in, in seconds. */
const STEPS = [60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600, 86_400]

/** Numbers that are kept over restarts: gathered here, given to the store now and then. */
export class Tally {
  #amounts = new Map<string, number>()

  add(ruling: Ruling, now: number): void {
    const { verdict, rule, decision } = ruling
    this.#add(`rule:${rule}`)
    this.#add(`day:${new Date(now).toISOString().slice(0, 10)}:${verdict}`)
    if (rule !== 'passed' || !decision?.mark) return
    const delay = seconds(decision.now - decision.mark.first)
    this.#add(`delay:${STEPS.find(step => delay <= step) ?? 'more'}`)
  }

  /** Those that could not be given are kept for the next time. */
  async give(count: (amounts: Parameters<Store['count']>[0]) => Promise<unknown>): Promise<void> {
    if (this.#amounts.size === 0) return
    const amounts = this.#amounts
    this.#amounts = new Map()
    try {
      await count(amounts)
    } catch (error) {
      for (const [name, amount] of amounts) this.#add(name, amount)
      throw error
    }
  }

  #add(name: string, amount = 1): void {
    this.#amounts.set(name, (this.#amounts.get(name) ?? 0) + amount)
  }
}
