/**
 * Blocks of the documentation that are neither TypeScript (`snippets.test.ts`) nor commands (`commands.test.ts`): what an MTA is told is
 * read by that MTA's own programs, scenarios are played, messages and output are what the code says.
 *
 * `NOT_CHECKED` is all that no test looks at, with the reason.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import greylist from '../../plugins/greylist/src/index.ts'
import { entryProblems } from '../../src/bridge/launch/launcher/entry.ts'
import { readRequest } from '../../src/daemon/control/protocol.ts'
import { authenticationResults } from '../../src/host/authentication/result.ts'
import { validateConfig } from '../../src/host/config/validate.ts'
import { socket } from '../../src/index.ts'
import { readScenarios, runScenario, testPlugin } from '../../src/testing.ts'
import { sendmailFile } from '../interop/doctor/site.ts'
import { requirePrograms } from '../interop/harness/index.ts'
import { BLOCKS, type Block, ROOT } from './pages.ts'

const NOT_CHECKED: readonly (readonly [string, RegExp, string])[] = [
  ['README.md', /── milterhost ──/, 'a drawing'],
  ['README.ja.md', /── milterhost ──/, 'a drawing'],
  ['CONTRIBUTING.md', /^src\//, 'a list of folders'],
  ['docs/concepts.md', /one SMTP connection/, 'a drawing'],
  ['docs/doctor.md', /^wrong {3}POSTFIX/, 'output: test/interop/doctor/postfix.test.ts'],
  ['docs/health.md', /^warn {2}external milter is wedged/, 'lines of the log: test/interop/health'],
  ['docs/replay.md', /^\d+ sessions with/, 'output: test/cli/replay.test.ts'],
  ['plugins/greylist/README.md', /^ACL SETUSER/, 'an ACL: plugins/greylist/test/redis/trouble.test.ts'],
]

const is = {
  postfix: ({ text }: Block) => text.includes('/main.cf\n'),
  sendmail: ({ text }: Block) => /^dnl .*sendmail\.mc$/m.test(text),
  scenario: ({ text }: Block) => text.startsWith('SCENARIO'),
  json: ({ language }: Block) => language === 'json',
  control: ({ text }: Block) => text.startsWith('{"milterhost"'),
  mistakes: ({ text }: Block) => text.includes('is not a valid configuration'),
  authentication: ({ text }: Block) => text.startsWith('Authentication-Results:'),
}
const others = BLOCKS.filter(({ language }) => language !== 'ts' && language !== 'sh')
const of = (kind: keyof typeof is): Block[] => others.filter(is[kind])

const folder = mkdtempSync(join(tmpdir(), 'milterhost-blocks-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('no block is without a test or a reason', () => {
  const left = others.filter(block => !Object.values(is).some(kind => kind(block)))
  const known = (block: Block) => NOT_CHECKED.some(([page, text]) => page === block.page && text.test(block.text))
  expect(left.filter(block => !known(block)).map(({ page, text }) => `${page}: ${text}`)).toEqual([])
  const idle = NOT_CHECKED.filter(([page, text]) => !left.some(block => page === block.page && text.test(block.text)))
  expect(idle.map(([page]) => page)).toEqual([])
  for (const kind of Object.keys(is)) expect(of(kind as keyof typeof is).length, kind).toBeGreaterThan(0)
})

requirePrograms('postfix')('lines for main.cf', () => {
  it.each(of('postfix'))('$name are read by Postfix as they stand', ({ text, name }) => {
    const lines = text.split('\n').filter(line => /^\w/.test(line))
    writeFileSync(join(folder, 'main.cf'), `compatibility_level = 3.6\n${text}`)
    writeFileSync(join(folder, 'master.cf'), '')
    const { stdout, stderr } = spawnSync('postconf', ['-c', folder, '-n'], { encoding: 'utf8' })
    expect(stderr, name).toBe('')
    expect(lines.filter(line => !stdout.split('\n').includes(line))).toEqual([])
    expect(lines.length).toBeGreaterThan(2)
  })
})

requirePrograms('sendmail')('lines for sendmail.mc', () => {
  it.each(of('sendmail'))('$name become a milter of sendmail.cf', ({ text }) => {
    const made = readFileSync(sendmailFile(text.split('\n')), 'latin1')
    const [line] = text.split('\n').filter(one => one.startsWith('INPUT_MAIL_FILTER'))
    const [, name, flags] = /`(\w+)', `(.*)'\)dnl$/.exec(line!)!
    expect(made).toContain(`O InputMailFilters=${name}`)
    expect(made).toContain(`X${name}, ${flags}`)
  })
})

describe('what else stands in blocks', () => {
  it.each(of('scenario'))('the scenario $name is met', async ({ text, name }) => {
    const file = join(folder, `${name}.scenario`)
    writeFileSync(file, text)
    const scenarios = readScenarios(file)
    expect(scenarios.length).toBeGreaterThan(0)
    for (const scenario of scenarios)
      await runScenario(scenario, options =>
        testPlugin(greylist({ mode: 'all', store: { path: join(folder, 's') } }), options),
      )
  })

  it.each(of('json'))('$name is JSON', ({ text }) => {
    expect(typeof JSON.parse(text)).toBe('object')
  })

  it('what the launcher may start is an entry as it reads them', () => {
    const [block] = of('json').filter(({ page }) => page === 'docs/launching.md')
    expect(Object.values(JSON.parse(block!.text)).map(entryProblems)).toEqual([[], [], []])
  })

  it('the exports that a plugin with a command has are those of one that has', () => {
    const [block] = of('json').filter(({ page }) => page === 'docs/plugin-commands.md')
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'plugins/greylist/package.json'), 'utf8'))
    expect(exports).toMatchObject(JSON.parse(block!.text).exports)
  })

  it('requests to the control socket are understood', () => {
    const lines = of('control').flatMap(({ text }) => text.trim().split('\n'))
    const requests = lines.filter(line => 'do' in JSON.parse(line))
    expect(requests.map(line => readRequest(line).do)).toEqual(['disable', 'kill'])
    expect(lines.every(line => JSON.parse(line).milterhost === 1)).toBe(true)
  })

  it('mistakes in a configuration are told so', () => {
    const [block] = of('mistakes')
    const filters = [
      socket('a', 'inet:1'),
      socket('b', 'inet:2'),
      socket('opendkim', 'inet:3', { timeouts: { ends: 5 } as never }),
    ]
    const wrong = { limits: { recipients: 'many' as never }, filters }
    expect(() => validateConfig(wrong, '/etc/milterhost/milterhost.config.ts', () => {})).toThrow(block!.text.trim())
  })

  it('a field of results is written so', () => {
    const [block] = of('authentication')
    const properties = (text: string) => Object.fromEntries(text.split(' ').map(part => part.split('=')))
    const written = authenticationResults('mx.example.com', [
      { method: 'spf', result: 'pass', properties: properties('smtp.mailfrom=ann@example.org') },
      { method: 'dkim', result: 'pass', properties: properties('header.d=example.org header.s=k1') },
      { method: 'dmarc', result: 'pass', properties: properties('header.from=example.org') },
    ])
    expect(`Authentication-Results: ${written}`.replaceAll('\r', '')).toBe(block!.text.trim())
  })
})
