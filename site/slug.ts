/**
 * The name of a heading in a link, spelt as code hosts spell it, so that `page.md#a-heading` leads to the same place in the repository and on the site.
 *
 * Used by the site for its headings and by the test for the links to them.
 */

/** Lower case; of other signs only letters, digits, `_` and `-` stay; a space is a `-`. */
export const slugOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-')

/** The names of all headings of a page in Markdown, in order; one that is there again is numbered. */
export function headingsOf(text: string): string[] {
  const seen = new Map<string, number>()
  const outside = text.replace(/^(```+|~~~+)[\s\S]*?^\1/gm, '')
  return [...outside.matchAll(/^#{1,6} (.+)$/gm)].map(match => {
    const slug = slugOf(match[1]!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1'))
    const before = seen.get(slug)
    seen.set(slug, (before ?? 0) + 1)
    return before === undefined ? slug : `${slug}-${before}`
  })
}
