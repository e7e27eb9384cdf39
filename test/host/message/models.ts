/**
 * What Postfix and Sendmail do with header edits, written from measurements of Postfix 3.7 and Sendmail 8.17 and sharing
 * nothing with the code under test: each takes a batch and gives the headers as they stand in the message then.
 */
import type { Edit } from '../../../src/host/message/edit.ts'

export interface Line {
  readonly name: string
  readonly value: string
}

/** The visible headers, and how many of them stand above the MTA's own Received line. */
export interface Headers {
  readonly lines: readonly Line[]
  readonly above: number
}

interface Slot {
  name: string
  value: string
  /** `own`: the MTA's Received. `empty`: a header that the MTA would make itself. `gone`: removed in this batch. */
  state: 'own' | 'empty' | 'here' | 'gone'
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

const visible = (slots: readonly Slot[]): Headers => {
  const here = (list: readonly Slot[]): Line[] =>
    list.filter(({ state }) => state === 'here').map(({ name, value }) => ({ name, value }))
  const own = slots.findIndex(({ state }) => state === 'own')
  return { lines: here(slots), above: here(slots.slice(0, own)).length }
}

export function postfix(sent: readonly Line[], batch: readonly Edit[]): Headers {
  const slots: Slot[] = [
    { name: 'Received', value: '', state: 'own' },
    ...sent.map(line => ({ ...line, state: 'here' as const })),
  ]
  const nth = (name: string, occurrence: number): number => {
    let left = Math.max(1, occurrence)
    return slots.findIndex(slot => slot.state === 'here' && same(slot.name, name) && --left === 0)
  }
  for (const edit of batch) {
    if (edit.kind === 'addHeader') slots.push({ name: edit.name, value: edit.value, state: 'here' })
    if (edit.kind === 'insertHeader')
      slots.splice(Math.min(edit.index, slots.length), 0, { name: edit.name, value: edit.value, state: 'here' })
    if (edit.kind === 'removeHeader') {
      const at = nth(edit.name, edit.occurrence)
      if (at !== -1) slots.splice(at, 1)
    }
    if (edit.kind === 'changeHeader') {
      const at = nth(edit.name, edit.occurrence)
      const line: Slot = { name: edit.name, value: edit.value, state: 'here' }
      if (at === -1) slots.push(line)
      else slots[at] = line
    }
  }
  return visible(slots)
}

const STOCK = 'Return-Path Received Resent-Date Date Resent-From From Full-Name Resent-Message-Id Message-Id'.split(' ')

export function sendmail(sent: readonly Line[], batch: readonly Edit[]): Headers {
  const slots: Slot[] = [
    ...STOCK.map((name): Slot => ({ name, value: '', state: name === 'Received' ? 'own' : 'empty' })),
    ...sent.map((line): Slot => ({ ...line, state: 'here' })),
  ]
  const counted = ({ state }: Slot): boolean => state === 'here' || state === 'gone'
  const nth = (name: string, occurrence: number): Slot | undefined => {
    let left = Math.max(1, occurrence)
    return slots.find(slot => counted(slot) && same(slot.name, name) && --left === 0)
  }
  const add = (name: string, value: string): void => {
    const empty = slots.find(slot => slot.state === 'empty' && same(slot.name, name))
    if (empty !== undefined) {
      Object.assign(empty, { value, state: 'here' })
      return
    }
    const first = slots.findIndex(slot => same(slot.name, name))
    slots.splice(first === -1 ? slots.length : first, 0, { name, value, state: 'here' })
  }
  for (const edit of batch) {
    if (edit.kind === 'addHeader') add(edit.name, edit.value)
    if (edit.kind === 'insertHeader')
      slots.splice(Math.min(edit.index + 1, slots.length), 0, { name: edit.name, value: edit.value, state: 'here' })
    if (edit.kind === 'changeHeader') {
      const slot = nth(edit.name, edit.occurrence)
      if (slot === undefined) add(edit.name, edit.value)
      else Object.assign(slot, { value: edit.value, state: 'here' })
    }
    if (edit.kind === 'removeHeader') {
      const slot = nth(edit.name, edit.occurrence)
      if (slot !== undefined) slot.state = 'gone'
    }
  }
  return visible(slots)
}
