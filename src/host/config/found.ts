/**
 * Entries that were found on this machine among those that are written by hand: who gives way, and who stands where.
 *
 * What holds: what is written stays as it is written. A found entry is left out when a written one has its name or its address, when
 * it is the socket that milterhost itself listens on (which the MTA's configuration names), or when it was found twice. It keeps its
 * place unless `after` and `before` ask for another. Called by `validate.ts`.
 */
import type { FilterEntry } from './entry.ts'
import { suggestion } from './problem.ts'

interface Placed {
  readonly entry: FilterEntry
  readonly policy: { readonly name: string }
  readonly at?: string
}

/** `listens`: addresses of milterhost itself. `placeOf` says the same for two spellings of one socket; it may throw. */
export function withoutRepeated<T extends Placed>(
  entries: readonly T[],
  listens: readonly string[],
  placeOf: (address: string) => string | undefined,
): T[] {
  const place = (address: string): string => {
    try {
      return placeOf(address) ?? address
    } catch {
      // Not an address: said where it is used.
      return address
    }
  }
  const written = entries.filter(({ entry }) => entry.found === undefined)
  const names = new Set(written.map(({ policy }) => policy.name))
  const places = new Set(listens.map(place))
  for (const { entry } of written) if (entry.kind === 'socket') places.add(place(entry.describe))
  return entries.filter(({ entry: { found }, policy: { name } }) => {
    if (found === undefined) return true
    const at = place(found.address ?? '')
    if (names.has(name) || places.has(at)) return false
    names.add(name)
    places.add(at)
    return true
  })
}

/** The order of the chain. */
export function arranged<T extends Placed>(entries: readonly T[], problems: string[]): T[] {
  const order = [...entries]
  const names = order.map(({ policy }) => policy.name)
  const wishes = entries.filter(
    ({ entry: { found } }) => found !== undefined && found.after.length + found.before.length > 0,
  )
  for (const { entry, policy, at } of wishes) {
    for (const [word, wanted] of [
      ['after', entry.found!.after],
      ['before', entry.found!.before],
    ] as const) {
      for (const name of wanted) {
        if (name === policy.name) problems.push(`${at} (${policy.name}): ${word} names itself`)
        else if (!names.includes(name))
          problems.push(`${at} (${policy.name}): ${word} names no filter with "${name}"${suggestion(name, names)}`)
      }
    }
  }
  // Each round moves those that do not yet stand right; a contradiction would go on for ever.
  for (let round = 0; round <= wishes.length; round++) {
    const wrong = wishes.filter(wish => move(wish, order))
    if (wrong.length === 0) return order
    if (round === wishes.length) {
      const which = wrong.map(({ policy }) => policy.name).join(', ')
      problems.push(`the options after and before of ${which} contradict each other`)
    }
  }
  return order
}

/** Whether it had to be moved. */
function move<T extends Placed>(wish: T, order: T[]): boolean {
  const position = (name: string): number => order.findIndex(({ policy }) => policy.name === name)
  const { after, before } = wish.entry.found!
  const at = order.indexOf(wish)
  const known = (names: readonly string[]): number[] => names.map(position).filter(index => index >= 0 && index !== at)
  const least = Math.max(-1, ...known(after))
  const most = Math.min(order.length, ...known(before))
  if (at > least && at < most) return false
  order.splice(at, 1)
  const to = at <= least ? least : most
  order.splice(to, 0, wish)
  return true
}
