/** Every TypeScript block of the pages is a file that compiles, and configurations and plugins also load. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Plugin } from '../../src/plugin.ts'
import type { Serving } from '../../src/serve.ts'
import { fakeClock, fakeDns, testPlugin } from '../../src/testing.ts'
import { BLOCKS, ROOT } from './pages.ts'

const snippets = BLOCKS.filter(({ language }) => language === 'ts').map(({ name, text }) => ({
  name: `${name}.ts`,
  text,
}))

const MESSAGE = 'Subject: hello\r\n\r\nhello\r\n'
/** Of plugins that cannot do without. */
const OPTIONS: Readonly<Record<string, Record<string, unknown>>> = {
  'docs-writing-a-plugin.md-1.ts': { word: 'hello' },
}
/** Of plugins that refuse the message. */
const VERDICTS: Readonly<Record<string, string>> = { 'docs-writing-a-plugin.md-1.ts': 'reject' }

let folder: string

beforeAll(() => {
  // Inside the repository, so that packages resolve as they do for any file of it.
  folder = mkdtempSync(join(ROOT, 'test/docs/.snippets-'))
  // Plugins of this repository are not built when tests run: their source stands for them.
  const fromSource = (text: string): string =>
    text
      .replaceAll(/'milter-plugin-([\w-]+)'/g, "'../../../plugins/$1/src/index.ts'")
      .replace("'test/greylist.scenario'", `'${join(folder, 'greylist.scenario')}'`)
  vi.stubEnv('STATE_DIRECTORY', folder)
  writeFileSync(join(folder, 'greylist.scenario'), BLOCKS.find(({ text }) => text.startsWith('SCENARIO'))!.text)
  for (const { name, text } of snippets) writeFileSync(join(folder, name), fromSource(text))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('code in the documentation', () => {
  it('is there', () => {
    expect(snippets.length).toBeGreaterThan(5)
  })

  it('compiles', { timeout: 300_000 }, () => {
    const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8')) as {
      compilerOptions: { paths: Record<string, string[]> }
    }
    const paths: Record<string, string[]> = {}
    for (const [name, places] of Object.entries(compilerOptions.paths))
      paths[name] = places.map(at => resolve(ROOT, at))
    const options = {
      ...compilerOptions,
      paths,
      isolatedDeclarations: false,
      declaration: false,
      noUnusedLocals: false,
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }))
    const tsc = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    })
    expect(tsc.stdout).toBe('')
    expect(tsc.status).toBe(0)
  })

  const configurations = snippets.filter(({ text }) => text.includes('defineConfig'))
  it.each(configurations.map(({ name }) => name))('the configuration %s is valid', { timeout: 120_000 }, name => {
    const list = spawnSync(
      process.execPath,
      [join(ROOT, 'bin/milterhost.mjs'), 'list', '--json', '--config', join(folder, name)],
      { encoding: 'utf8' },
    )
    expect(list.stderr).toBe('')
    expect(list.status).toBe(0)
  })

  const plugins = snippets.filter(({ text }) => text.includes('export default definePlugin'))
  it.each(plugins.map(({ name }) => name))('the plugin %s runs', async name => {
    const { default: plugin } = (await import(/* @vite-ignore */ join(folder, name))) as {
      readonly default: Plugin<Record<string, unknown>>
    }
    await using host = await testPlugin(plugin(OPTIONS[name] ?? {}), { clock: fakeClock(), dns: fakeDns({}) })
    const delivery = await host.deliver({ from: 'a@example.org', to: 'b@example.net', message: MESSAGE })
    expect(delivery.verdict.kind).toBe(VERDICTS[name] ?? 'continue')
    expect(host.events.filter(({ type }) => type === 'filter-failed')).toEqual([])
  })

  const others = snippets.filter(one => !configurations.includes(one) && !plugins.includes(one))
  it.each(others.map(({ name }) => name))('%s is executed', async name => {
    const tests: (() => Promise<void>)[] = []
    vi.doMock('node:test', () => ({ default: (_: string, run: () => Promise<void>) => tests.push(run) }))
    vi.doMock('milterhost/serve', async original => {
      const real = await original<typeof import('../../src/serve.ts')>()
      const onFree: typeof real.serve = (entries, listen, options) =>
        real.serve(entries, String(listen).replace(/^inet:\d+/, 'inet:0'), {
          ...options,
          signals: false,
          write: () => {},
        })
      return { ...real, serve: onFree }
    })
    const exported = (await import(/* @vite-ignore */ join(folder, name))) as { readonly milter?: Serving }
    for (const run of tests) await run()
    await exported.milter?.close(0)
  })

  it('the page for authors stays short', () => {
    expect(statSync(join(ROOT, 'docs/writing-a-plugin.md')).size).toBeLessThan(5_000)
  })
})
