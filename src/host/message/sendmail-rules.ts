/**
 * What each header edit does in Sendmail 8.17, read in its source and measured.
 *
 * Its list holds more than is shown (`layout.ts`), and an index counts all of it; a new field goes *after* the
 * element of that index. A removed field is counted as long as the edits of one filter are applied, and writing to it brings
 * it back in its old place; from the next filter on it is a free place, which the next field added by that name takes, and so
 * is the place of a header that Sendmail would make itself, even when the client sent one of its own. The spelling of a
 * name stays what it was.
 */
import type { ByteString } from '../bytes.ts'
import type { HeaderEditor, HeaderList } from './header-list.ts'
import type { HeaderNode } from './layout.ts'

/** Trace fields (`H_TRACE` in Sendmail's table): a free place of such a name is never taken. */
const TRACE = ['received', 'x400-received', 'via', 'mail-from']

export function sendmailRules(list: HeaderList): HeaderEditor {
  const trace = new Set(TRACE.map(name => list.key(name)))

  const isCounted = (node: HeaderNode): boolean => node.state === 'live' || node.state === 'removed'

  /** Among nodes of one name. The last free place wins, as in Sendmail's loop. */
  function find(key: number, occurrence: number): number {
    // A C int: what is beyond 2^31 is negative there and means the first.
    let left = occurrence | 0
    let free = -1
    for (let at = list.next(key, 0); at !== -1; at = list.next(key, at + 1)) {
      if (!isCounted(list.at(at))) free = at
      else if (--left <= 0) return at
    }
    return trace.has(key) ? -1 : free
  }

  function firstFree(key: number): number {
    if (trace.has(key)) return -1
    let at = list.next(key, 0)
    while (at !== -1 && isCounted(list.at(at))) at = list.next(key, at + 1)
    return at
  }

  function add(name: ByteString, value: ByteString): void {
    const key = list.key(name)
    const free = firstFree(key)
    const first = list.next(key, 0)
    if (free !== -1) list.write(free, list.at(free).field.name, value)
    else list.insert(first === -1 ? list.length : first, name, value)
  }

  return {
    add,
    insert(index, name, value) {
      list.insert(Math.min(Math.max(index | 0, 0) + 1, list.length), name, value)
    },
    change(occurrence, name, value) {
      const at = find(list.key(name), occurrence)
      if (at === -1) add(name, value)
      else list.write(at, list.at(at).field.name, value)
    },
    remove(occurrence, name) {
      const at = find(list.key(name), occurrence)
      if (at === -1) return
      // Removing a header that Sendmail would have made keeps it from being made.
      list.mark(at, isCounted(list.at(at)) ? 'removed' : 'forgotten')
    },
  }
}
