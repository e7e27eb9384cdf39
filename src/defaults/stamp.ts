/**
 * A plugin of the shipped default configuration: stamps every message with the host that filtered it and the message's id,
 * which is the one in the log.
 */
import { hostname } from 'node:os'
import { definePlugin, type Plugin } from 'milterhost/plugin'
import { z } from 'zod'

export interface StampOptions {
  /** @default 'X-Milterhost' */
  readonly header?: string
  /** The name in the header. @default that of this machine */
  readonly host?: string
}

const stamp: Plugin<StampOptions> = definePlugin({
  name: 'stamp',
  options: z.object({ header: z.string().default('X-Milterhost'), host: z.string().default(() => hostname()) }),
  setup: (_host, { header, host }) => ({
    end(event) {
      event.edit.prependHeader(header, `${host} ${event.id}`)
    },
  }),
})

export default stamp
