/** In a process of its own: the loader's hooks act on a whole process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
const SCRIPT = `
  const { ConfigLoader } = await import(${here('../../../src/host/config/loader.ts')})
  const { installation } = await import(${here('../../../src/host/config/installation.ts')})
  const loader = new ConfigLoader(installation())
  process.on('message', async path => {
    process.send({ result: await loader.load(path).catch(error => error.code + ' ' + error.message) })
  })`

let child: ChildProcess
beforeAll(() => {
  child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
})
afterAll(async () => {
  child.disconnect()
  await once(child, 'exit')
})

/** Loads the file once, and again after each change; gives what each load exported, or how it failed. */
async function load(
  files: Readonly<Record<string, string>>,
  name: string,
  changes: readonly Readonly<Record<string, string>>[] = [],
): Promise<unknown[]> {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-loader-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const results: unknown[] = []
  for (const change of [files, ...changes]) {
    for (const [path, text] of Object.entries(change)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    child.send(join(folder, name))
    const [{ result }] = (await once(child, 'message')) as [{ result: unknown }]
    results.push(JSON.parse(JSON.stringify(result).replaceAll(folder, '')))
  }
  return results
}

const MODULES = {
  none: {},
  module: { 'package.json': '{"type":"module"}' },
  commonjs: { 'package.json': '{"type":"commonjs"}' },
}

describe.each(Object.entries(MODULES))('with a package.json that says %s', (_type, manifest) => {
  it.each(['ts', 'mts', 'js', 'mjs'])('an ES module .%s works, top-level await and all', async extension => {
    const text =
      'import os from "node:os"\nconst two = await Promise.resolve(2)\nexport default { two, os: typeof os.cpus }'
    expect(await load({ ...manifest, [`c.${extension}`]: text }, `c.${extension}`)).toEqual([
      { two: 2, os: 'function' },
    ])
  })

  it('TypeScript may use what type stripping cannot: enums, names without ending, tsconfig or not', async () => {
    const files = {
      ...manifest,
      'c.ts': `import { Level } from './level'\nexport default { level: Level.High satisfies number }`,
      'level.ts': 'export enum Level { Low, High }',
    }
    expect(await load(files, 'c.ts')).toEqual([{ level: 1 }])
  })

  it.each([
    ['cjs', 'const { one } = require("./one.cjs")\nmodule.exports = { one }'],
    ['cts', 'import one = require("./one.cjs")\nexport = { one: one.one as number }'],
  ])('CommonJS .%s works', async (extension, text) => {
    const files = { ...manifest, [`c.${extension}`]: text, 'one.cjs': 'exports.one = 1' }
    expect(await load(files, `c.${extension}`)).toEqual([{ one: 1 }])
  })

  it('a module may import CommonJS, and CommonJS a module', async () => {
    const files = {
      ...manifest,
      'c.ts': 'import a from "./a.cjs"\nexport default a',
      'a.cjs': 'module.exports = { b: require("./b.mjs").b }',
      'b.mjs': 'export const b = 2',
    }
    expect(await load(files, 'c.ts')).toEqual([{ b: 2 }])
  })
})

it('CommonJS in a .js file is CommonJS where nothing says otherwise', async () => {
  expect(await load({ 'c.js': '// import x from "y"\nmodule.exports = { x: typeof require }' }, 'c.js')).toEqual([
    { x: 'function' },
  ])
})

describe('a second load', () => {
  const change = (path: string): string => `export const word = '${path}'`

  it('reads the file again', async () => {
    expect(await load({ 'c.ts': 'export default { n: 1 }' }, 'c.ts', [{ 'c.ts': 'export default { n: 2 }' }])).toEqual([
      { n: 1 },
      { n: 2 },
    ])
  })

  it('reads again what the file imports, at any depth', async () => {
    const files = {
      'c.ts': 'import { word } from "./a"\nexport default { word }',
      'a.ts': 'export * from "./b"',
      'b.ts': change('first'),
    }
    expect(await load(files, 'c.ts', [{ 'b.ts': change('second') }])).toEqual([{ word: 'first' }, { word: 'second' }])
  })

  it('reads again what CommonJS requires', async () => {
    const files = { 'c.cjs': 'module.exports = require("./a.cjs")', 'a.cjs': 'module.exports = { n: 1 }' }
    expect(await load(files, 'c.cjs', [{ 'a.cjs': 'module.exports = { n: 2 }' }])).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('reads again what an ES module imports from CommonJS, and JSON', async () => {
    const files = {
      'c.mjs': 'import a from "./a.cjs"\nimport j from "./j.json" with { type: "json" }\nexport default { a, j }',
      'a.cjs': 'module.exports = 1',
      'j.json': '1',
    }
    expect(await load(files, 'c.mjs', [{ 'a.cjs': 'module.exports = 2', 'j.json': '2' }])).toEqual([
      { a: 1, j: 1 },
      { a: 2, j: 2 },
    ])
  })

  it('does not load packages again', async () => {
    const files = {
      'c.mjs': 'import { loads } from "pkg"\nexport default { loads }',
      'node_modules/pkg/package.json': '{"name":"pkg","type":"module","exports":"./i.js"}',
      'node_modules/pkg/i.js': 'globalThis.loads = (globalThis.loads ?? 0) + 1\nexport const { loads } = globalThis',
    }
    expect(await load(files, 'c.mjs', [{}])).toEqual([{ loads: 1 }, { loads: 1 }])
  })

  it('works after one that failed', async () => {
    expect(await load({ 'c.ts': 'export default {' }, 'c.ts', [{ 'c.ts': 'export default { n: 1 }' }])).toEqual([
      expect.stringMatching(/^CONFIG_SYNTAX /),
      { n: 1 },
    ])
  })
})

describe('an import', () => {
  it('of milterhost is the running program, whatever lies in node_modules', async () => {
    const files = {
      'c.ts': `import { defineConfig } from 'milterhost'
import { definePlugin } from 'milterhost/plugin'
import viaPackage from 'milter-plugin-x'
export default { own: typeof defineConfig, same: viaPackage === definePlugin }`,
      'node_modules/milterhost/package.json': '{"name":"milterhost","version":"0.0.1","main":"old.js"}',
      'node_modules/milterhost/old.js': 'throw new Error("the old copy was loaded")',
      'node_modules/milter-plugin-x/package.json': '{"name":"milter-plugin-x","type":"module","exports":"./i.js"}',
      'node_modules/milter-plugin-x/i.js': `export { definePlugin as default } from 'milterhost/plugin'`,
    }
    expect(await load(files, 'c.ts')).toEqual([{ own: 'function', same: true }])
  })

  it('by CommonJS is that same program', async () => {
    const text = `const { defineConfig } = require('milterhost')\nmodule.exports = { own: typeof defineConfig }`
    expect(await load({ 'c.cjs': text }, 'c.cjs')).toEqual([{ own: 'function' }])
  })

  it('of a package that only milterhost has is found there', async () => {
    expect(await load({ 'c.ts': 'import { z } from "zod"\nexport default { z: typeof z.string }' }, 'c.ts')).toEqual([
      { z: 'function' },
    ])
  })

  it('of a package beside the file comes first', async () => {
    const files = {
      'c.ts': 'import z from "zod"\nexport default { z }',
      'node_modules/zod/package.json': '{"name":"zod","type":"module","exports":"./i.js"}',
      'node_modules/zod/i.js': 'export default "mine"',
    }
    expect(await load(files, 'c.ts')).toEqual([{ z: 'mine' }])
  })
})

describe('a mistake is told with file and place:', () => {
  it.each([
    [
      'syntax',
      { 'c.ts': 'const a = 1\nexport default { filters: [ }' },
      /^CONFIG_SYNTAX \/c\.ts:2:29: Unexpected "}"$/,
    ],
    [
      'syntax of JavaScript',
      { 'c.ts': 'export { default } from "./a.mjs"', 'a.mjs': '\n\nlet let' },
      /^CONFIG_SYNTAX \/a\.mjs:3/,
    ],
    [
      'syntax of an imported file',
      { 'c.ts': 'export { default } from "./a"', 'a.ts': '\nexport default [' },
      /^CONFIG_SYNTAX \/a\.ts:2:/,
    ],
    [
      'a package that is nowhere',
      { 'c.ts': 'import "nowhere-at-all"\nexport default {}' },
      /^CONFIG_IMPORT \/c\.ts: .*'nowhere-at-all'.*\/c\.ts/,
    ],
    ['a file that is not there', { 'c.ts': 'import "./a.ts"\nexport default {}' }, /^CONFIG_IMPORT \/c\.ts: .*\/a\.ts/],
    [
      'a name that is not exported',
      { 'c.ts': 'import { nothing } from "zod"\nexport default nothing' },
      /^CONFIG_SYNTAX \/c\.ts:1: .*'nothing'/,
    ],
    [
      'JSON that does not parse',
      { 'c.ts': 'export default JSON.parse("{")' },
      /^CONFIG_THREW \/c\.ts failed .*JSON.* \(\/c\.ts:1:/,
    ],
    [
      'syntax of CommonJS',
      { 'c.ts': 'export { default } from "./a.cjs"', 'a.cjs': '\n\nlet let' },
      /^CONFIG_SYNTAX \/a\.cjs:3/,
    ],
    [
      'a throw',
      { 'c.ts': '\nthrow new Error("no database")' },
      /^CONFIG_THREW \/c\.ts failed .*: no database \(\/c\.ts:2:/,
    ],
    [
      'a throw in an imported file',
      { 'c.ts': 'import "./a"\nexport default {}', 'a.ts': '\n\nnull!.x' },
      /^CONFIG_THREW \/c\.ts .*\(\/a\.ts:3:/,
    ],
    ['a throw of no error', { 'c.ts': 'throw "words"' }, /^CONFIG_THREW \/c\.ts failed while it was executed: words$/],
    [
      'no default export',
      { 'c.ts': 'export const config = {}' },
      /^CONFIG_INVALID \/c\.ts .*\n.*it has no default export/,
    ],
  ])('%s', async (_what, files, message) => {
    const [result] = await load(files as Record<string, string>, 'c.ts')
    expect(result).toMatch(message)
    expect(result).not.toMatch(/milterhost-load|tsx-namespace|file:/)
  })
})
