#!/usr/bin/env node
// Plain JavaScript that an old Node can read too: it says what it needs before anything newer is loaded.
import { existsSync } from 'node:fs'

const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(`milterhost needs Node 24 or newer; this is Node ${process.versions.node} (${process.execPath}).`)
  process.exit(2)
}

// The daemon begins anew, in the same process, with a small young generation: what large messages leave behind goes in short
// collections then, and never waits for the long ones. V8 takes this only when it starts.
const YOUNG = '--max-semi-space-size'
const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some(options => options.includes(YOUNG))
if (process.argv[2] === 'run' && !given && process.platform !== 'win32') {
  const [node, ...rest] = process.argv
  process.execve(node, [node, ...process.execArgv, `${YOUNG}=4`, ...rest], process.env)
}

// The source is there in a checkout only, where it is newer than what was built of it.
const source = new URL('../src/cli/main.ts', import.meta.url)
const { main } = await import(existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href)
process.exit(await main(process.argv.slice(2)))
