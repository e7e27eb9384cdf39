#!/usr/bin/env node
import { load, YOUNG } from './node.mjs'

// The daemon begins anew, in the same process, with a small young generation; V8 takes this only when it starts. What the launcher
// and systemd hand over would be lost on the way, so they give the option themselves.
const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some(options => options.includes(YOUNG))
const handed = process.env.MILTERHOST_LAUNCHER_FD !== undefined || Boolean(process.env.LISTEN_FDS)
if (process.argv[2] === 'run' && !given && !handed && process.platform !== 'win32') {
  const [node, ...rest] = process.argv
  process.execve(node, [node, ...process.execArgv, `${YOUNG}=16`, ...rest], process.env)
}

const { main } = await load('src/cli/main.ts', 'dist/cli/main.js')
process.exit(await main(process.argv.slice(2)))
