/**
 * A plugin of the shipped default configuration: logs the envelope of every message and what became of it.
 *
 * It never objects and asks for no content, so the MTA need not send any for its sake.
 */
import { definePlugin, type NoOptions, type Plugin } from 'milterhost/plugin'

const log: Plugin<NoOptions> = definePlugin({
  name: 'log',
  message: () => ({ recipients: [] as string[] }),
  setup: () => ({
    rcpt(event) {
      event.message.recipients.push(event.recipient.address)
    },
    settled(event) {
      const { client, sender, message, outcome, queueId } = event
      const envelope = { client: client.address, from: sender.address, to: message.recipients }
      event.log.info({ ...envelope, queueId, outcome }, 'message settled')
    },
  }),
})

export default log
