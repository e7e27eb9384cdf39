/** The mistakes that only a package can make, as `milterhost check` tells them; the others are in test/host/plugin/mistakes.test.ts. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { milterhost, place } from './support.ts'

const GOOD = `import { definePlugin } from 'milterhost/plugin'
export default definePlugin({ name: 'bell', setup: () => ({}) })`

test.each<[mistake: string, manifest: object, files: Record<string, string>, told: string]>([
  [
    'a CommonJS plugin that requires milterhost',
    { main: 'index.js' },
    {
      'index.js': `const { definePlugin } = require('milterhost/plugin')
module.exports = definePlugin({ name: 'bell', setup: () => ({}) })`,
    },
    'milterhost.config.ts: valid',
  ],
  [
    'CommonJS with the default in its exports',
    { main: 'index.js' },
    {
      'index.js': `Object.defineProperty(exports, '__esModule', { value: true })
exports.default = require('milterhost/plugin').definePlugin({ name: 'bell', setup: () => ({}) })`,
    },
    'bell is not a function; the default export of milter-plugin-bell is no function: a plugin is an ES module',
  ],
  [
    'no default export',
    { type: 'module', exports: './index.js' },
    { 'index.js': GOOD.replace('export default', 'export const bell =') },
    "'milter-plugin-bell' does not provide an export named 'default'",
  ],
  [
    'a dependency that is not installed',
    { type: 'module', exports: './index.js' },
    { 'index.js': `import 'not-installed-anywhere'\n${GOOD}` },
    "package 'not-installed-anywhere'",
  ],
])('%s is told in words', (_mistake, manifest, files, told) => {
  const { path, file } = place()
  const folder = join(path, 'node_modules/milter-plugin-bell')
  for (const [name, text] of Object.entries({ ...files, 'package.json': JSON.stringify(manifest) })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  file(
    'milterhost.config.ts',
    `import { defineConfig } from 'milterhost'\nimport bell from 'milter-plugin-bell'\nexport default defineConfig({ filters: [bell()] })\n`,
  )
  const { out, err } = milterhost(['check'], { cwd: path })
  expect(out + err).toContain(told)
})
