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
import type { Element, HeaderEditor, HeaderList } from './header-list.ts'
import { keyOf } from './layout.ts'

/** Trace fields (`H_TRACE` in Sendmail's table): a free place of such a name is never taken. */
const TRACE: ReadonlySet<string> = new Set(['received', 'x400-received', 'via', 'mail-from'])

export function sendmailRules(list: HeaderList): HeaderEditor {
  const freePlaces = (name: ByteString): readonly Element[] => (TRACE.has(keyOf(name)) ? [] : list.named(name).free)

  function find(occurrence: number, name: ByteString): Element | undefined {
    // A C int: what is beyond 2^31 is negative there and means the first.
    const found = list.named(name).counted[Math.max(occurrence | 0, 1) - 1]
    // The last free place, as in Sendmail's loop.
    return found ?? freePlaces(name).at(-1)
  }

  function write(element: Element, value: ByteString): void {
    list.write(element, element.node.field.name, value)
  }

  function add(name: ByteString, value: ByteString): void {
    const [free] = freePlaces(name)
    if (free === undefined) list.insert(list.first(name), name, value)
    else write(free, value)
  }

  return {
    add,
    insert(index, name, value) {
      list.insert(list.at(Math.max(index | 0, 0) + 1), name, value)
    },
    change(occurrence, name, value) {
      const found = find(occurrence, name)
      if (found === undefined) add(name, value)
      else write(found, value)
    },
    remove(occurrence, name) {
      const found = find(occurrence, name)
      if (found === undefined) return
      // Removing a header that Sendmail would have made keeps it from being made.
      const { state } = found.node
      list.mark(found, state === 'live' || state === 'removed' ? 'removed' : 'forgotten')
    },
  }
}
