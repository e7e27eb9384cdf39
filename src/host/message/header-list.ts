/**
 * A layout while edits are applied to it: the one place where a header list is changed in place.
 *
 * Every element carries a number that says where it stands, so that those of one name, and those that Postfix counts,
 * are sorted lists of their own: no edit looks at every header, and ten thousand edits of ten thousand headers do not
 * hold up the other sessions. `sendmail-rules.ts` and `postfix-rules.ts` say what an edit means; `apply.ts` makes and
 * drops the list.
 */
import type { ByteString } from '../bytes.ts'
import { type HeaderNode, isShown, keyOf } from './layout.ts'
import type { HeaderField } from './snapshot.ts'

/** What an MTA does with each header edit. Values are never empty in `change`. */
export interface HeaderEditor {
  add(name: ByteString, value: ByteString): void
  insert(index: number, name: ByteString, value: ByteString): void
  change(occurrence: number, name: ByteString, value: ByteString): void
  remove(occurrence: number, name: ByteString): void
}

export interface Element {
  readonly node: HeaderNode
}

interface Item extends Element {
  node: HeaderNode
  readonly key: string
  order: number
}

/** The elements of one name, in order. */
interface Namesakes {
  /** Those an occurrence counts: shown, or removed by the filter whose edits are applied. */
  readonly counted: readonly Element[]
  /** The others: places that Sendmail may fill. */
  readonly free: readonly Element[]
}

/** Between neighbours at first: more than a filter may send edits. */
const GAP = 2 ** 32

const NONE: Namesakes = { counted: [], free: [] }

const isCounted = ({ state }: HeaderNode): boolean => state === 'live' || state === 'removed'

export class HeaderList {
  readonly #items: Item[]
  /** What Postfix has: the headers shown and its own Received line. */
  readonly #standing: Item[] = []
  readonly #byKey = new Map<string, { counted: Item[]; free: Item[] }>()
  #latest: Item | undefined
  #nextId = 0

  constructor(layout: readonly HeaderNode[]) {
    this.#items = layout.map((node, index) => ({ node, key: keyOf(node.field.name), order: index * GAP }))
    for (const item of this.#items) {
      const { kind, field } = item.node
      if (field.id >= this.#nextId) this.#nextId = field.id + 1
      const counted = isCounted(item.node)
      this.#namesakes(item.key)[counted ? 'counted' : 'free'].push(item)
      if (counted || kind === 'received') this.#standing.push(item)
    }
  }

  named(name: ByteString): Namesakes {
    return this.#byKey.get(keyOf(name)) ?? NONE
  }

  /** The first of that name, counted or not. */
  first(name: ByteString): Element | undefined {
    const { counted, free } = this.#byKey.get(keyOf(name)) ?? {}
    const [one, other] = [counted?.[0], free?.[0]]
    return one && other ? (one.order < other.order ? one : other) : (one ?? other)
  }

  /** Of all elements. */
  at(index: number): Element | undefined {
    return this.#items[index]
  }

  /** Of the headers shown and the MTA's own Received line. */
  standing(index: number): Element | undefined {
    return this.#standing[index]
  }

  /** Puts a new field before that element, or at the end. */
  insert(before: Element | undefined, name: ByteString, value: ByteString): void {
    const field = { id: this.#nextId++, name, value }
    const node: HeaderNode = { field, kind: 'added', state: 'live', origin: -1 }
    const at = before === undefined ? this.#items.length : indexOf(this.#items, before as Item)
    const item: Item = { node, key: keyOf(name), order: this.#between(at) }
    this.#latest = item
    this.#items.splice(at, 0, item)
    put(this.#standing, item)
    put(this.#namesakes(item.key).counted, item)
  }

  write(element: Element, name: ByteString, value: ByteString): void {
    const { node } = element
    this.#become(element as Item, { ...node, field: { id: node.field.id, name, value }, state: 'live' })
  }

  mark(element: Element, state: HeaderNode['state']): void {
    this.#become(element as Item, { ...element.node, state })
  }

  /** The layout for the next filter, to which what was removed is no longer counted. */
  finish(): { layout: readonly HeaderNode[]; headers: readonly HeaderField[] } {
    const layout = this.#items.map(
      ({ node }): HeaderNode => (node.state === 'removed' ? { ...node, state: 'forgotten' } : node),
    )
    return { layout, headers: layout.filter(isShown).map(node => node.field) }
  }

  #become(item: Item, node: HeaderNode): void {
    const before = isCounted(item.node)
    const after = isCounted(node)
    item.node = node
    if (before === after) return
    const { counted, free } = this.#namesakes(item.key)
    take(before ? counted : free, item)
    put(after ? counted : free, item)
    if (after) put(this.#standing, item)
    else take(this.#standing, item)
  }

  #namesakes(key: string): { counted: Item[]; free: Item[] } {
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const made = { counted: [], free: [] }
    this.#byKey.set(key, made)
    return made
  }

  /** A number between those of the elements before and at `at`, with room left where the next is likely to go. */
  #between(at: number): number {
    const before = this.#items[at - 1]
    const after = this.#items[at]
    if (before === undefined) return (after?.order ?? 0) - GAP
    if (after === undefined) return before.order + GAP
    const middle =
      after === this.#latest
        ? after.order - 1
        : before === this.#latest
          ? before.order + 1
          : (before.order + after.order) / 2
    if (before.order < middle && middle < after.order) return middle
    for (let index = 0; index < this.#items.length; index++) (this.#items[index] as Item).order = index * GAP
    return (at - 0.5) * GAP
  }
}

/** Where the item is in a list in order, or belongs. */
function indexOf(list: readonly Item[], { order }: Item): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle] as Item).order < order) low = middle + 1
    else high = middle
  }
  return low
}

function put(list: Item[], item: Item): void {
  list.splice(indexOf(list, item), 0, item)
}

function take(list: Item[], item: Item): void {
  list.splice(indexOf(list, item), 1)
}
