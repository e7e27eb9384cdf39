/**
 * A model of the header block in Postfix 3.7's queue file and of what its milter edits do to it, from its documented and measured
 * behaviour and not from the code under test: lines of text, the first of them Postfix's own.
 */
import type { Edit } from '../../../src/host/message/edit.ts'

const OWN = '(Received)'

export class PostfixModel {
  #lines: string[]

  constructor(headers: readonly (readonly [string, string])[]) {
    this.#lines = [OWN, ...headers.map(([name, value]) => `${name}:${value}`)]
  }

  show(): string[] {
    return this.#lines.filter(line => line !== OWN)
  }

  edit(edit: Edit): void {
    if (edit.kind === 'addHeader') this.#lines.push(`${edit.name}:${edit.value}`)
    else if (edit.kind === 'insertHeader') this.#lines.splice(edit.index, 0, `${edit.name}:${edit.value}`)
    else if (edit.kind === 'changeHeader' || edit.kind === 'removeHeader') {
      const at = this.#find(edit.name, edit.occurrence)
      if (edit.kind === 'removeHeader') this.#lines = this.#lines.filter((_, index) => index !== at)
      else if (at === undefined) this.#lines.push(`${edit.name}:${edit.value}`)
      else this.#lines[at] = `${edit.name}:${edit.value}`
    }
  }

  /** The message as it leaves, with a mark for Postfix's own line. */
  delivered(): string[] {
    return [...this.#lines]
  }

  #find(name: string, occurrence: number): number | undefined {
    const label = `${name}:`.toLowerCase()
    const hits = [...this.#lines.keys()].filter(at => this.#lines[at]?.toLowerCase().startsWith(label))
    return hits[Math.max(occurrence, 1) - 1]
  }
}
