// Raises the version of all packages by what the changesets say. Changesets sees the workspaces, and not the root package, which is milterhost itself: that,
// the range of milterhost that plugins and new projects take, and the versions that plugins say in their code follow here. Publishes and commits nothing.
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'

process.chdir(resolve(import.meta.dirname, '..'))
const read = file => readFileSync(file, 'utf8')
const versionOf = file => JSON.parse(read(file)).version
const range = version =>
  `^${version.startsWith('0.') ? version.replace(/\.\d+$/, '.0') : version.replace(/\..*/, '.0.0')}`

/** `from` is there at least once; a file that says it no more would be left behind. */
function replace(file, from, to) {
  const text = read(file)
  if (!text.includes(from)) throw new Error(`${file} does not say ${from}`)
  if (from !== to) writeFileSync(file, text.replaceAll(from, to))
}

const before = versionOf('package.json')
execFileSync(process.execPath, ['node_modules/@changesets/cli/bin.js', 'version'], { stdio: 'inherit' })
const after = versionOf('plugins/template/package.json')
replace('package.json', `"version": "${before}"`, `"version": "${after}"`)
for (const file of globSync('plugins/*/package.json'))
  replace(file, `"milterhost": "${range(before)}"`, `"milterhost": "${range(after)}"`)
for (const file of globSync('plugins/*/src/index.ts')) replace(file, `version: '${before}'`, `version: '${after}'`)
for (const file of [
  'packages/create-milter-plugin/src/main.ts',
  'packages/create-milter-plugin/test/create.test.ts',
  'docs/writing-a-plugin.md',
  'docs/publishing-a-plugin.md',
])
  replace(file, range(before), range(after))
console.log(`${before} → ${after}; now npm install --package-lock-only, and CHANGELOG.md`)
