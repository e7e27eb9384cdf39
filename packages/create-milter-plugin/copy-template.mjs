// Puts plugins/template beside dist/, as the package ships it: its sources, nothing that was built or installed there.
import { cpSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const from = fileURLToPath(new URL('../../plugins/template/', import.meta.url))
const to = fileURLToPath(new URL('template/', import.meta.url))
rmSync(to, { recursive: true, force: true })
// Under another name: a package.json inside of a package means something to Node and to those that check packages.
cpSync(`${from}package.json`, `${to}manifest.json`)
for (const part of ['src', 'test', 'README.md', 'milterhost.config.ts', 'tsconfig.json', 'tsconfig.build.json'])
  cpSync(`${from}${part}`, `${to}${part}`, { recursive: true })
