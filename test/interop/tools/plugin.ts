// What the messages of these tests ask for, they get: a plugin that goes by the recipient and the Subject.

import { definePlugin, discard, type NoOptions, type Plugin, quarantine, reject } from 'milterhost/plugin'

export const tool: Plugin<NoOptions> = definePlugin({
  name: 'tool',
  setup: () => ({
    rcpt(event) {
      if (event.recipient.local === 'unknown') return reject('Not here', { enhanced: '5.1.1' })
    },
    end(event) {
      switch (event.header('subject')?.value) {
        case 'refuse me':
          return reject('Not this', { code: 554, enhanced: '5.7.1' })
        case 'drop me':
          return discard
        case 'hold me':
          return quarantine('held by the plugin')
        case 'edit me': {
          const { edit } = event
          edit.prependHeader('X-Tool', 'on top')
          edit.replaceHeader(event.header('subject')!, 'edited')
          for (const field of event.headerAll('x-old')) edit.removeHeader(field)
          edit.replaceBody('Goodbye\n')
          edit.addRecipient('carol@example.net')
          edit.removeRecipient('bob@example.net')
        }
      }
    },
  }),
})
