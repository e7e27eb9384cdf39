/**
 * What each header edit does in Postfix 3.7, read in its source and measured.
 *
 * Only what is in the message counts, together with the MTA's own Received line where a position is meant, and without it
 * where an occurrence is meant. Removal renumbers at once. What is added goes to the end, and the name is spelled as
 * in the request.
 */
import type { ByteString } from '../bytes.ts'
import type { Element, HeaderEditor, HeaderList } from './header-list.ts'

export function postfixRules(list: HeaderList): HeaderEditor {
  const find = (occurrence: number, name: ByteString): Element | undefined =>
    list.named(name).counted[Math.max(occurrence, 1) - 1]

  return {
    add(name, value) {
      list.insert(undefined, name, value)
    },
    insert(index, name, value) {
      list.insert(list.standing(Math.max(index, 0)), name, value)
    },
    change(occurrence, name, value) {
      const found = find(occurrence, name)
      if (found === undefined) list.insert(undefined, name, value)
      else list.write(found, name, value)
    },
    remove(occurrence, name) {
      const found = find(occurrence, name)
      if (found !== undefined) list.mark(found, 'forgotten')
    },
  }
}
