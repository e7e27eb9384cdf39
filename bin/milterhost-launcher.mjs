#!/usr/bin/env node
import { load, YOUNG } from './node.mjs'

const { main } = await load('src/bridge/launch/launcher/main.ts', 'dist/launcher.js')
process.exit(await main(process.argv.slice(2), `${YOUNG}=4`))
