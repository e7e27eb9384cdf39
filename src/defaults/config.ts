/**
 * The configuration that `npm start` runs: one listener on loopback and two small plugins. It reads like anyone's, so it
 * imports only the public faces.
 */
import { type Config, defineConfig } from 'milterhost'
import log from './log.ts'
import stamp from './stamp.ts'

const config: Config = defineConfig({
  listen: 'inet:10025@127.0.0.1',
  filters: [log(), stamp()],
})

export default config
