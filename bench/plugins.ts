/*
 * Plugins for the bench, written with the public API only. Each does what a small real filter does at least: look at
 * every recipient, keep a little state for the message, and stamp one header at the end. They wait for nothing, so what is
 * measured is the host around them.
 */
import { definePlugin } from 'milterhost/plugin'

export const stamp: ReturnType<typeof definePlugin> = definePlugin({
  name: 'bench-stamp',
  message: () => ({ recipients: 0 }),
  setup() {
    return {
      rcpt(event) {
        event.message.recipients++
      },
      end(event) {
        event.edit.prependHeader('X-Bench', `${event.message.recipients} recipients`)
      },
    }
  },
})

/** Holds clients of 10.0.0.0/8 at RCPT, for as long as Postfix lets it. */
export const hold: ReturnType<typeof definePlugin> = definePlugin({
  name: 'bench-hold',
  setup: () => ({
    async rcpt(event) {
      if (event.client.address.startsWith('10.')) await event.hold(240)
    },
  }),
})
