/**
 * milter-plugin-template: tags a message above a size with a header, and counts those it tagged.
 *
 * Options with defaults, one hook, an edit, a counter. A field of that name that came with the message says nothing and goes.
 */
import { definePlugin, type Plugin } from 'milterhost/plugin'
import { z } from 'zod'

export interface TemplateOptions {
  /** Bytes above which a message is tagged. @default 10_000_000 */
  readonly size?: number
  /** Name of the header. @default 'X-Large-Message' */
  readonly header?: string
}

const template: Plugin<TemplateOptions> = definePlugin({
  name: 'template',
  version: '0.1.0',
  api: 1,
  options: z.object({
    size: z.int().positive().default(10_000_000),
    header: z
      .string()
      .regex(/^[\x21-\x39\x3b-\x7e]+$/, 'must be the name of a header')
      .default('X-Large-Message'),
  }),
  setup(host, { size, header }) {
    const tagged = host.counter('tagged_total', 'Messages that were tagged as large')
    return {
      end(event) {
        // A header of this name that came with the message says nothing.
        for (const forged of event.headerAll(header)) event.edit.removeHeader(forged)
        if (event.size <= size) return
        event.edit.prependHeader(header, `yes; size=${event.size}; limit=${size}`)
        tagged.add()
      },
    }
  },
})

export default template
