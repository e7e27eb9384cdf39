/**
 * A layout while edits are applied to it: the one place where a header list is changed in place.
 *
 * Names are compared as numbers, so that ten thousand edits on ten thousand headers stay a matter of some hundred
 * milliseconds though every edit may look at every header. `sendmail-rules.ts` and `postfix-rules.ts` say what an edit
 * means; `apply.ts` makes and drops the list.
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

export class HeaderList {
  readonly #nodes: HeaderNode[]
  readonly #keys: number[]
  readonly #numbers = new Map<string, number>()
  #nextId = 0

  constructor(layout: readonly HeaderNode[]) {
    this.#nodes = [...layout]
    this.#keys = layout.map(node => this.key(node.field.name))
    for (const { field } of layout) if (field.id >= this.#nextId) this.#nextId = field.id + 1
  }

  get length(): number {
    return this.#nodes.length
  }

  /** The number that stands for a name, whatever its case. */
  key(name: ByteString): number {
    const text = keyOf(name)
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#numbers.set(text, this.#numbers.size)
    return this.#numbers.size - 1
  }

  at(index: number): HeaderNode {
    return this.#nodes[index] as HeaderNode
  }

  keyAt(index: number): number {
    return this.#keys[index] as number
  }

  /** The first node of that name at or after `from`, or -1. */
  next(key: number, from: number): number {
    return this.#keys.indexOf(key, from)
  }

  /** Puts a new field before the node at `index`. */
  insert(index: number, name: ByteString, value: ByteString): void {
    const node: HeaderNode = {
      field: { id: this.#nextId++, name, value },
      kind: 'added',
      state: 'live',
      origin: -1,
    }
    this.#nodes.splice(index, 0, node)
    this.#keys.splice(index, 0, this.key(name))
  }

  write(index: number, name: ByteString, value: ByteString): void {
    const node = this.at(index)
    this.#nodes[index] = { ...node, field: { id: node.field.id, name, value }, state: 'live' }
  }

  mark(index: number, state: HeaderNode['state']): void {
    this.#nodes[index] = { ...this.at(index), state }
  }

  /** The layout for the next filter, to which what was removed is no longer counted. */
  finish(): { layout: readonly HeaderNode[]; headers: readonly HeaderField[] } {
    const layout: HeaderNode[] = this.#nodes.map(node =>
      node.state === 'removed' ? { ...node, state: 'forgotten' } : node,
    )
    return { layout, headers: layout.filter(isShown).map(node => node.field) }
  }
}
