/**
 * Sends messages elsewhere by what a header of theirs says: the first rule that fits replaces all recipients.
 */
import { definePlugin, type Plugin } from 'milterhost/plugin'
import { z } from 'zod'

export interface HeaderRoutingOptions {
  /** In order; `matches` is looked for in the field's decoded value. */
  readonly rules: readonly { readonly header: string; readonly matches: RegExp; readonly to: string }[]
}

const headerRouting: Plugin<HeaderRoutingOptions> = definePlugin({
  name: 'header-routing',
  options: z.object({
    rules: z
      .array(z.object({ header: z.string(), matches: z.instanceof(RegExp), to: z.string().includes('@') }))
      .readonly(),
  }),
  setup: (_host, { rules }) => ({
    end(event) {
      const rule = rules.find(({ header, matches }) => event.headerAll(header).some(({ value }) => matches.test(value)))
      if (rule === undefined) return
      event.edit.prependHeader('X-Original-Recipients', event.recipients.map(({ address }) => address).join(', '))
      for (const recipient of event.recipients) event.edit.removeRecipient(recipient)
      event.edit.addRecipient(rule.to)
    },
  }),
})

export default headerRouting
