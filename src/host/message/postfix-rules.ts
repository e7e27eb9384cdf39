/**
 * What each header edit does in Postfix 3.7, read in its source and measured.
 *
 * Only what is in the message counts, together with the MTA's own Received line where a position is meant, and without it
 * where an occurrence is meant. Removal renumbers at once. What is added goes to the end, and the name is spelled as
 * in the request.
 */
import type { HeaderEditor, HeaderList } from './header-list.ts'

export function postfixRules(list: HeaderList): HeaderEditor {
  function find(key: number, occurrence: number): number {
    let left = Math.max(occurrence, 1)
    for (let at = list.next(key, 0); at !== -1; at = list.next(key, at + 1)) {
      if (list.at(at).state === 'live' && --left === 0) return at
    }
    return -1
  }

  function position(index: number): number {
    let left = Math.max(index, 0)
    for (let at = 0; at < list.length; at++) {
      const { kind, state } = list.at(at)
      if ((kind === 'received' || state === 'live') && left-- === 0) return at
    }
    return list.length
  }

  return {
    add(name, value) {
      list.insert(list.length, name, value)
    },
    insert(index, name, value) {
      list.insert(position(index), name, value)
    },
    change(occurrence, name, value) {
      const at = find(list.key(name), occurrence)
      if (at === -1) list.insert(list.length, name, value)
      else list.write(at, name, value)
    },
    remove(occurrence, name) {
      const at = find(list.key(name), occurrence)
      if (at !== -1) list.mark(at, 'forgotten')
    },
  }
}
