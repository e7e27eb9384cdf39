/**
 * A model of Sendmail 8.17's header list and of what its milter edits do to it, from its documented and measured behaviour
 * and not from the code under test: a linked list of elements with a flag for what came from a user or a milter.
 */
import type { Edit } from '../../../src/host/message/edit.ts'

interface Element {
  readonly name: string
  /** `null`: nothing is written. `undefined`: Sendmail writes what it likes. */
  value: string | null | undefined
  user: boolean
  readonly trace: boolean
}

const TRACES = ['received', 'via', 'mail-from', 'x400-received']

export class SendmailModel {
  readonly #list: Element[]

  constructor(headers: readonly (readonly [string, string])[]) {
    const own = ['Return-Path', 'Received', 'Resent-Date', 'Date', 'Resent-From', 'From', 'Full-Name']
    this.#list = [...own, 'Resent-Message-Id', 'Message-Id'].map(name => ({
      name,
      value: undefined,
      user: false,
      trace: name === 'Received',
    }))
    for (const [name, value] of headers) {
      for (const element of this.#list) {
        const forced = element.trace || element.name === 'Return-Path'
        if (!element.user && !forced && same(element, name)) element.value = null
      }
      this.#list.push(make(name, value))
    }
  }

  /** Shows the headers to the next milter; those removed before are not counted from now on. */
  show(): string[] {
    const shown: string[] = []
    for (const element of this.#list) {
      if (element.value === null) element.user = false
      else if (element.user) shown.push(`${element.name}:${element.value}`)
    }
    return shown
  }

  edit(edit: Edit): void {
    if (edit.kind === 'addHeader') this.#add(edit.name, edit.value)
    else if (edit.kind === 'changeHeader') this.#change(edit.occurrence, edit.name, edit.value)
    else if (edit.kind === 'removeHeader') this.#change(edit.occurrence, edit.name, null)
    else if (edit.kind === 'insertHeader') {
      const element = make(edit.name, edit.value)
      if (edit.index >= this.#list.length) this.#list.push(element)
      else this.#list.splice(edit.index + 1, 0, element)
    }
  }

  /** The message as it leaves, with a mark for each line that Sendmail makes itself. */
  delivered(): string[] {
    const lines = this.#list.filter(element => element.value !== null)
    return lines.map(({ name, value }) => (value === undefined ? `(${name})` : `${name}:${value}`))
  }

  #add(name: string, value: string): void {
    const free = this.#list.find(element => same(element, name) && !element.user && !element.trace)
    if (free) {
      free.value = value
      free.user = true
      return
    }
    const first = this.#list.findIndex(element => same(element, name))
    this.#list.splice(first === -1 ? this.#list.length : first, 0, make(name, value))
  }

  #change(occurrence: number, name: string, value: string | null): void {
    const users = this.#list.filter(element => same(element, name) && element.user)
    const free = this.#list.findLast(element => same(element, name) && !element.user && !element.trace)
    const found = users[Math.max(occurrence, 1) - 1] ?? free
    if (found) {
      found.value = value
      if (value !== null) found.user = true
    } else if (value !== null) {
      this.#add(name, value)
    }
  }
}

const same = (element: Element, name: string): boolean => element.name.toLowerCase() === name.toLowerCase()

const make = (name: string, value: string): Element => ({
  name,
  value,
  user: true,
  trace: TRACES.includes(name.toLowerCase()),
})
