/** `milterhost dev` as an author starts it: files are saved as editors save them, and what is printed is looked at. */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test, vi } from 'vitest'
import { milterhost, type Place, place, type Running, start } from './support.ts'

// Each round starts a process of its own; a busy machine takes its time over a dozen of them.
vi.setConfig({ testTimeout: 180_000 })

/** What runs the tests may ask for colours. */
const PLAIN = { FORCE_COLOR: undefined }
const ESCAPE = String.fromCharCode(27)

const plugin = (end = 'event.edit.prependHeader(NAME, word)', setup = ''): string => `
import { definePlugin } from 'milterhost/plugin'
import { word } from './lib/word.ts'
const NAME: string = 'X-Word'
export default definePlugin({
  name: 'word',
  setup(host) {
    ${setup}
    return {
      rcpt(event) { event.log.debug({ to: event.recipient.address }, 'asked') },
      end(event) { ${end} },
    }
  },
})
`
const scenario = (word: string): string => `SCENARIO the word is there
RCPT <b@example.com>
END
EXPECT accept
EXPECT header X-Word: ${word}
`

interface Project extends Place {
  /** Writes beside the file and renames, as editors do. */
  replace(name: string, text: string): void
}

function project(): Project {
  const at = place()
  mkdirSync(join(at.path, 'src/lib'), { recursive: true })
  mkdirSync(join(at.path, 'test'))
  at.file('src/index.ts', plugin())
  at.file('src/lib/word.ts', "export const word = 'one'\n")
  at.file('test/word.scenario', scenario('one'))
  return {
    ...at,
    replace(name, text) {
      const beside = at.file(`${name}.new~`, text)
      renameSync(beside, join(at.path, name))
    },
  }
}

interface Author extends Running {
  /** What was printed in the round that `save` leads to. */
  after(save: () => void): Promise<string>
}

const WAITING = 'Waiting for a change; Ctrl-C ends.'

async function author(at: Place, ...args: string[]): Promise<Author> {
  const running = start(['dev', ...args], at.path, PLAIN)
  let rounds = 0
  const next = async (): Promise<string> => {
    rounds++
    await running.until(new RegExp(`(?:[\\s\\S]*?${WAITING}){${rounds}}`))
    return running.said().split(WAITING)[rounds - 1]!
  }
  await next()
  return {
    ...running,
    after(save) {
      save()
      return next()
    },
  }
}

test('a round shows each step, what the filters did and logged, and each expectation', () => {
  const at = project()
  const { code, out, err } = milterhost(['dev', '--once'], { cwd: at.path, env: PLAIN })
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toBe(`test/word.scenario
✓  the word is there
     2  CONNECT, HELO, MAIL, RCPT <b@example.com> → ok
        word log debug: asked {"to":"b@example.com"}
     3  DATA, the message → ok
        word: continue
            insert header at 0 X-Word: one
     4  EXPECT accept ✓
     5  EXPECT header X-Word: one ✓
1 passed, 0 failed
`)
})

test('what failed is told with file and line, and --failed leaves out the traces of what passed', () => {
  const at = project()
  at.file('test/b.scenario', scenario('two'))
  const { code, out } = milterhost(['dev', '--once', '--failed'], { cwd: at.path, env: PLAIN })
  expect(code).toBe(1)
  expect(out.split('\n')).toEqual([
    'test/b.scenario',
    '✗  the word is there',
    expect.stringMatching(/ 2 {2}CONNECT/),
    expect.stringMatching(/log debug/),
    expect.stringMatching(/ 3 {2}DATA/),
    expect.stringMatching(/word: continue/),
    expect.stringMatching(/insert header/),
    '     4  EXPECT accept ✓',
    '     5  EXPECT header X-Word: two ✗',
    '     test/b.scenario:5: X-Word is "one", not "two"',
    'test/word.scenario',
    '✓  the word is there',
    '1 passed, 1 failed',
    '',
  ])
})

test('every save is a round: in place, by rename, in a helper, in a scenario, in a new file', async () => {
  const at = project()
  const dev = await author(at)
  expect(await dev.after(() => at.file('src/index.ts', plugin("event.edit.prependHeader(NAME, 'two')")))).toContain(
    'test/word.scenario:5: X-Word is "two", not "one"',
  )
  expect(await dev.after(() => at.replace('src/index.ts', plugin()))).toContain('1 passed, 0 failed')
  const helper = await dev.after(() => at.replace('src/lib/word.ts', "export const word = 'three'\n"))
  expect(helper).toContain('  src/lib/word.ts\n')
  expect(helper).toContain('X-Word is "three", not "one"')
  expect(await dev.after(() => at.file('test/word.scenario', scenario('three')))).toContain('1 passed, 0 failed')
  expect(await dev.after(() => at.file('test/more.scenario', scenario('three')))).toContain('2 passed, 0 failed')
  expect(dev.said()).not.toContain(ESCAPE)
})

test('several writes of one save are one round', async () => {
  const at = project()
  const dev = await author(at)
  await dev.after(() => {
    for (let i = 0; i < 5; i++) at.file('src/index.ts', plugin())
    at.replace('src/lib/word.ts', "export const word = 'one'\n")
  })
  await dev.after(() => at.file('test/word.scenario', scenario('one')))
  expect(dev.said().split('1 passed, 0 failed')).toHaveLength(4)
})

test('mistakes are told with their place, and the next save goes on', async () => {
  const at = project()
  const dev = await author(at)
  expect(await dev.after(() => at.replace('src/index.ts', 'export default definePlugin({\n  name: = 1\n'))).toMatch(
    /✗ .*src\/index\.ts:2:9: /,
  )
  expect(await dev.after(() => at.replace('src/index.ts', plugin("throw new Error('not now')")))).toContain(
    'filter word failed at end: not now (',
  )
  expect(await dev.after(() => at.replace('src/index.ts', plugin('', "throw new Error('no store')")))).toMatch(
    /✗ {2}setup of plugin word failed: no store \(.*src\/index\.ts:\d+:\d+\)/,
  )
  expect(await dev.after(() => at.replace('src/index.ts', 'export default 7\n'))).toMatch(/exports 7 as default/)
  expect(await dev.after(() => at.file('test/word.scenario', 'RCTP <b@example.com>\n'))).toContain('exports 7')
  const both = await dev.after(() => at.replace('src/index.ts', plugin()))
  expect(both).toContain('test/word.scenario:1: RCTP is no command; did you mean "RCPT"?')
  expect(await dev.after(() => at.file('test/word.scenario', scenario('one')))).toContain('1 passed, 0 failed')
})

test('an error that nobody caught fails its scenario with the place, and the others are played', () => {
  const at = project()
  at.file(
    'src/index.ts',
    plugin(`event.edit.prependHeader(NAME, word)
      if (event.header('Subject')?.value.includes('stray')) void Promise.reject(new Error('forgotten'))`),
  )
  at.file(
    'test/word.scenario',
    `SCENARIO a promise is forgotten\nRCPT <b@example.com>\nHEADER Subject: stray\nEND\nEXPECT accept\n\n${scenario('one')}`,
  )
  const { code, out, err } = milterhost(['dev', '--once'], { cwd: at.path, env: PLAIN })
  expect(out).toContain('✗  a promise is forgotten')
  expect(out).toMatch(/test\/word\.scenario:1: nobody caught this error .*: forgotten \(.*src\/index\.ts:\d+:\d+\)/)
  expect(out).toContain('✓  the word is there')
  expect(out).toContain('1 passed, 1 failed')
  expect([code, err]).toEqual([1, ''])

  at.file('milterhost.config.ts', `import word from './src/index.ts'\nexport default { filters: [word()] }\n`)
  const tested = milterhost(['test', 'test/word.scenario'], { cwd: at.path, env: PLAIN })
  expect(tested.out).toMatch(/✗ {2}a promise is forgotten\n.*nobody caught this error.*\n✓ {2}the word is there/)
  expect([tested.code, tested.err]).toEqual([1, ''])
})

test('a helper that is missing is waited for, in a folder that is missing too', async () => {
  const at = project()
  at.file('src/index.ts', plugin().replace('./lib/word.ts', './other/word.ts'))
  const dev = await author(at)
  expect(dev.said()).toContain('other/word.ts')
  const mended = await dev.after(() => {
    mkdirSync(join(at.path, 'src/other'))
    at.file('src/other/word.ts', "export const word = 'one'\n")
  })
  expect(mended).toContain('1 passed, 0 failed')
})

test('a save in a folder elsewhere, while the first round is still loading, is not missed', async () => {
  const at = project()
  const { file, path } = place()
  file('word.ts', "export const word = 'one'\n")
  const waits = `
import { existsSync } from 'node:fs'
process.stdout.write('read\\n')
while (!existsSync('${path}/go')) await new Promise(done => setTimeout(done, 10))
`
  at.file('src/index.ts', plugin().replace('./lib/word.ts', `${path}/word.ts`) + waits)
  const dev = start(['dev'], at.path, PLAIN)
  await dev.until('read')
  file('word.ts', "export const word = 'two'\n")
  file('go', '')
  await dev.until('X-Word is "two", not "one"')
  expect(dev.said()).toContain(`${path}/word.ts`)
})

test('a save while a round runs ends it and begins another', async () => {
  const at = project()
  const dev = await author(at)
  at.replace('src/index.ts', plugin('', "host.log.info({}, 'on'); process.stdout.write('spinning\\n'); for (;;);"))
  await dev.until('spinning')
  expect(await dev.after(() => at.replace('src/index.ts', plugin()))).toContain('1 passed, 0 failed')
})

test('Ctrl-C ends at once with 0, while it waits and while a round runs', async () => {
  const at = project()
  const waiting = await author(at)
  waiting.process.kill('SIGINT')
  expect(await waiting.ended).toBe(0)
  at.file('src/index.ts', plugin('', "process.stdout.write('spinning ' + process.pid + '\\n'); for (;;);"))
  const busy = start(['dev'], at.path, PLAIN)
  await busy.until(/spinning \d+\n/)
  const player = Number(/spinning (\d+)/.exec(busy.said())![1])
  busy.process.kill('SIGINT')
  expect(await busy.ended).toBe(0)
  await expect.poll(() => isThere(player)).toBe(false)
})

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

test("types are checked by the project's own compiler, and the scenarios are played all the same", async () => {
  const at = project()
  symlinkSync(resolve(import.meta.dirname, '../../node_modules'), join(at.path, 'node_modules'))
  const compilerOptions = { module: 'nodenext', target: 'es2024', strict: true, types: [], noResolve: false }
  at.file('tsconfig.json', JSON.stringify({ compilerOptions, include: ['src/lib'] }))
  at.file('src/lib/word.ts', "export const word: number = 'one'\n")
  const dev = await author(at)
  expect(dev.said()).toContain('1 passed, 0 failed')
  expect(dev.said()).toMatch(/✗ {2}types:\n {5}src\/lib\/word\.ts\(1,14\): error TS2322: /)
  expect(milterhost(['dev', '--once'], { cwd: at.path, env: PLAIN }).code).toBe(1)
  const untyped = milterhost(['dev', '--once', '--no-types'], { cwd: at.path, env: PLAIN })
  expect(untyped).toMatchObject({ code: 0, out: expect.not.stringContaining('types') })
  expect(await dev.after(() => at.file('src/lib/word.ts', "export const word: string = 'one'\n"))).not.toContain(
    'types',
  )
})

test('without a scenario it is said how to write one, and where the format stands', () => {
  const at = project()
  const { code, out } = milterhost(['dev', '--once', '--scenarios', 'test/*.none'], { cwd: at.path, env: PLAIN })
  expect(code).toBe(1)
  expect(out).toContain('such as test/first.scenario:\n\n  SCENARIO')
  expect(out).toContain(resolve(import.meta.dirname, '../../docs/testing.md'))
})

test('an entry, a list, and the configuration of the folder are tried as they are; a plugin without options', () => {
  const at = place()
  at.file(
    'plugin.ts',
    `import { definePlugin } from 'milterhost/plugin'
import { z } from 'zod'
export default definePlugin({
  name: 'word',
  options: z.object({ word: z.string() }),
  setup: (_host, { word }) => ({ end(event) { event.edit.prependHeader('X-Word', word) } }),
})
`,
  )
  const exporting = (text: string): string => `import word from './plugin.ts'\nexport default ${text}\n`
  at.file('a.scenario', scenario('one'))
  const once = (...args: string[]) => milterhost(['dev', ...args, '--once'], { cwd: at.path, env: PLAIN })
  expect(once()).toMatchObject({ code: 1, out: expect.stringMatching(/word: .*\n.*tried without options/) })
  for (const [name, text] of [
    ['entry.ts', "word({ word: 'one' })"],
    ['list.ts', "[false, word({ word: 'one' })]"],
    ['milterhost.config.ts', "{ filters: [word({ word: 'one' })] }"],
  ] as const) {
    at.file(name, exporting(text))
    expect(once(name), name).toMatchObject({ code: 0, out: expect.stringContaining('1 passed, 0 failed') })
  }
  expect(once('.'), 'the configuration comes before the plugin').toMatchObject({ code: 0 })
})

test('where there is nothing to try it ends with 2', () => {
  const at = place()
  expect(milterhost(['dev', '--once'], { cwd: at.path })).toMatchObject({
    code: 2,
    err: expect.stringContaining('has no milterhost.config.ts, src/index.ts'),
  })
  expect(milterhost(['dev', 'none.ts'], { cwd: at.path })).toMatchObject({
    code: 2,
    err: expect.stringContaining('it is not there'),
  })
})

test('a scenario file that was named and is not there is told', () => {
  const at = project()
  writeFileSync(join(at.path, 'test/word.scenario'), scenario('one'))
  const { code, out } = milterhost(['dev', '--once', '--scenarios', 'none.scenario'], { cwd: at.path, env: PLAIN })
  expect({ code, out }).toEqual({ code: 1, out: expect.stringContaining('none.scenario cannot be read') })
})
