/**
 * The parts of a page that are generated, between two comments that no reader sees:
 *
 *     <!-- options of Config: limits (written by npm run docs:reference) -->
 *     <!-- end -->
 */

const BLOCK = /^<!-- (.+) \(written by npm run docs:reference\) -->\n([\s\S]*?)^<!-- end -->$/gm

/** What is to stand at each place, in order. */
export const placesOf = (text: string): readonly string[] => [...text.matchAll(BLOCK)].map(([, what]) => what!)

/** The heading under which each of them stands. */
export function headingOver(text: string, what: string): string {
  const before = text.slice(0, [...text.matchAll(BLOCK)].find(match => match[1] === what)!.index)
  return [...before.matchAll(/^#+ (.+)$/gm)].at(-1)![1]!
}

/** The page with every place filled anew. */
export const filled = (text: string, fill: (what: string) => string): string =>
  text.replace(BLOCK, (whole, what: string) => `${whole.split('\n')[0]}\n\n${fill(what)}\n\n<!-- end -->`)
