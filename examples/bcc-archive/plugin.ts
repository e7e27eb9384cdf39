/**
 * Sends a copy of every message to an archive, with the envelope in headers that only the archive can make use of.
 *
 * A bounce of the archive's own, and what is addressed to it already, gets no copy.
 */
import { definePlugin, type Plugin } from 'milterhost/plugin'
import { z } from 'zod'

export interface BccArchiveOptions {
  /** Where the copies go. */
  readonly address: string
}

const bccArchive: Plugin<BccArchiveOptions> = definePlugin({
  name: 'bcc-archive',
  options: z.object({ address: z.string().includes('@', { message: 'must be an address' }) }),
  setup: (_host, { address }) => ({
    end(event) {
      const same = (other: string): boolean => other.toLowerCase() === address.toLowerCase()
      if (same(event.sender.address) || event.recipients.some(recipient => same(recipient.address))) return
      event.edit.addRecipient(address)
    },
  }),
})

export default bccArchive
