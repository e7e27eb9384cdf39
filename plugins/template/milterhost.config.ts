// To try the plugin: npx milterhost run prints the lines that go into the settings of the MTA.
import { type Config, defineConfig } from 'milterhost'
import template from './src/index.ts'

const config: Config = defineConfig({
  listen: 'inet:10025@127.0.0.1',
  filters: [template({ size: 1_000 })],
})

export default config
