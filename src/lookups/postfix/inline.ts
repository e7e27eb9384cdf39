/**
 * Lists in braces, as Postfix 3.7 has them in the place of a file's name: `{ { one rule }, { another } }`, `{ a = b, c = d }`. Pure.
 */

/** The items, without their own braces. Items are separated by commas and white space. */
export function braced(text: string): readonly string[] {
  const trimmed = text.trim()
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) throw new Error('an inline table stands in braces')
  const body = trimmed.slice(1, -1)
  const items: string[] = []
  let at = 0
  while (at < body.length) {
    if (/[\s,]/.test(body[at]!)) {
      at += 1
    } else if (body[at] === '{') {
      const end = closing(body, at)
      items.push(body.slice(at + 1, end).trim())
      at = end + 1
    } else {
      // Outside of braces there is no white space: a=b.
      const [item] = /^(?:[^\s,{}]+|.)/s.exec(body.slice(at))!
      items.push(item)
      at += item.length
    }
  }
  return items
}

function closing(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if (text[at] === '{') depth += 1
    else if (text[at] === '}' && --depth === 0) return at
  }
  throw new Error('"{" without "}"')
}
