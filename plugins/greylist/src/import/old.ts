/**
 * What another greylist remembered, in the words that all of them share.
 *
 * Types only. Each format's reader makes these, `convert.ts` makes marks of them.
 */
import type { Entry } from '../store.ts'

/** Times in milliseconds since 1970. `client`: an address, or a network `192.0.2.0/24`, `2001:db8::/64`. */
export type Old =
  | {
      readonly kind: 'waiting'
      readonly client: string
      readonly sender: string
      readonly recipient: string
      readonly first: number
      readonly last: number
    }
  /** Mail of this sender domain, empty for the null sender, passes from there. */
  | {
      readonly kind: 'passed'
      readonly client: string
      readonly domain: string
      readonly first: number
      readonly last: number
    }
  /** All mail from there passes. */
  | { readonly kind: 'known'; readonly client: string; readonly first: number; readonly last: number }
  | { readonly kind: 'trapped'; readonly client: string; readonly until: number }
  /** A mark of our own. */
  | { readonly kind: 'mark'; readonly entry: Entry }
  /** Understood, and of no use here. */
  | { readonly kind: 'left-out'; readonly why: string }

/** Reads one line after the other; `null` for one that says nothing. Throws with the reason for one that makes no sense. */
export type LineReader = (line: string) => Old | null

/** Seconds since 1970, as the formats write them. */
export function epoch(text: string | undefined): number {
  if (text === undefined || !/^\d{1,11}$/.test(text)) throw new Error(`${JSON.stringify(text ?? '')} is no time`)
  return Number(text) * 1000
}

export const domainOf = (sender: string): string => sender.slice(sender.lastIndexOf('@') + 1).toLowerCase()
