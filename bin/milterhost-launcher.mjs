#!/usr/bin/env node
import { load, YOUNG } from './node.mjs'

const { main } = await load('src/bridge/launch/launcher/main.ts', 'dist/launcher.js')
// For the Node of milterhost; milters get an environment without it.
process.env.NODE_OPTIONS = `${YOUNG}=16 ${process.env.NODE_OPTIONS ?? ''}`.trim()
process.exit(await main(process.argv.slice(2)))
