/**
 * The configuration that `npm start` runs: one listener on loopback and a chain that refuses nothing. It reads like anyone's,
 * so it imports only the public faces and the plugins.
 *
 * Milters that are installed and enabled on this machine come last. Greylist and tarpit observe: the log says what they would have done. Take `mode: 'observe'` away to enforce them.
 */

import dkim from 'milter-plugin-dkim'
import greylist from 'milter-plugin-greylist'
import spf from 'milter-plugin-spf'
import tarpit from 'milter-plugin-tarpit'
import { type Config, defineConfig, detected } from 'milterhost'
import log from './log.ts'
import stamp from './stamp.ts'

const config: Config = defineConfig({
  listen: 'inet:10025@127.0.0.1',
  filters: [
    log(),
    spf({ reject: { fail: false } }),
    tarpit({}, { mode: 'observe' }),
    greylist({}, { mode: 'observe' }),
    dkim({ mode: 'verify' }),
    stamp(),
    ...detected(),
  ],
})

export default config
