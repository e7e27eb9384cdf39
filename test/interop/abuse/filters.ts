// The chain of the daemon in these tests: one plugin that reads every byte and answers every command, one that does what the sender's
// name asks for. Loaded by the daemon's own process.

import { createHash } from 'node:crypto'
import { definePlugin, type FilterEntry } from 'milterhost/plugin'

const LINE = `${'new body '.repeat(7)}\r\n`
const PIECE = Buffer.alloc(LINE.length * 16_384, LINE)
const PIECES = 100
/** Bytes. */
export const LARGE_BODY: number = PIECE.length * PIECES

async function* largeBody(): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < PIECES; n++) yield PIECE
}

/** The stamp: how many recipients and header fields it saw, the length of the body and its hash. */
const witness = definePlugin({
  name: 'witness',
  message: () => ({ recipients: 0 }),
  setup: () => ({
    connect() {},
    helo() {},
    mail() {},
    data() {},
    rcpt(event) {
      event.message.recipients++
    },
    async end(event) {
      const hash = createHash('sha256')
      let bytes = 0
      for await (const chunk of event.body()) {
        hash.update(chunk)
        bytes += chunk.length
      }
      const seen = [event.message.recipients, event.headers.length, bytes, hash.digest('hex').slice(0, 16)]
      event.edit.prependHeader('X-Witness', seen.join(' '))
    },
  }),
})

const servant = definePlugin({
  name: 'servant',
  setup: () => ({
    end(event) {
      if (event.sender.local === 'replace') event.edit.replaceBody(largeBody())
    },
  }),
})

export const filters: FilterEntry[] = [witness(), servant()]
