/** Filters that write down what they are told, and answer as a test says: for tests of who takes part. */
import type { EntryOptions, FilterEntry } from '../../../src/host/config/entry.ts'
import { definePlugin, type Hooks, type Verdict } from '../../../src/plugin.ts'

export interface Witness {
  readonly entry: FilterEntry
  /** `connect`, `mail`, `rcpt a@x`, `end`, in the order told. */
  readonly told: string[]
  /** Recipients the whole message was shown with, once a message. */
  readonly seen: string[][]
}

/** What the filter says at a hook, for `rcpt` by recipient. */
export interface Says {
  readonly connect?: Verdict
  readonly helo?: Verdict
  readonly mail?: Verdict
  readonly rcpt?: (recipient: string) => Verdict | undefined
  readonly data?: Verdict
  readonly end?: Verdict
}

export function witness(name: string, options: EntryOptions = {}, says: Says = {}): Witness {
  const told: string[] = []
  const seen: string[][] = []
  const hooks: Hooks = {
    connect: () => note('connect', says.connect),
    helo: event => note(`helo ${event.name}`, says.helo),
    mail: event => note(`mail ${event.sender.address}`, says.mail),
    rcpt: event => note(`rcpt ${event.recipient.address}`, says.rcpt?.(event.recipient.address)),
    data: () => note('data', says.data),
    end(event) {
      seen.push(event.recipients.map(({ address }) => address))
      return note('end', says.end)
    },
  }
  const note = (what: string, verdict: Verdict | undefined): Verdict | undefined => {
    told.push(what)
    return verdict
  }
  return { entry: definePlugin({ name, setup: () => hooks })(undefined, options), told, seen }
}
