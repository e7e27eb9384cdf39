/**
 * How code stands in the pages, where VitePress's own way falls short: a block that is indented looks like one with fences, and a long path or
 * name in a line of text or a table may be broken behind `/`, `_` and `:`, not anywhere.
 */
import type { MarkdownRenderer } from 'vitepress'

export function code({ renderer: { rules } }: MarkdownRenderer): void {
  const { fence, code_inline: inline } = rules
  rules.code_block = fence!
  rules.code_inline = (...all) => inline!(...all).replace(/(?<=[^<][/_:])(?=\w)/g, '<wbr>')
}
