import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BIN, milterhost, place } from './support.ts'

const MESSAGE = 'From: ann@example.org\r\nTo: bob@example.net\r\nSubject: hi\r\n\r\ntext\r\n'

const PLUGINS = `
import { definePlugin, reject } from 'milterhost/plugin'
export const stamp = definePlugin({
  name: 'stamp',
  setup: () => ({ end(event) { event.edit.prependHeader('X-Stamp', event.auth?.user ?? event.client.address) } }),
})
export const refuse = definePlugin({
  name: 'refuse',
  setup: () => ({ rcpt: event => event.recipient.local === 'nobody' ? reject('No such user', { enhanced: '5.1.1' }) : undefined }),
})
`
const CONFIG = `
import { defineConfig } from 'milterhost'
import { refuse, stamp } from './plugins.ts'
export default defineConfig({ listen: 'unix:./unused.sock', filters: [refuse(), stamp()] })
`

function configured(): { path: string; message: string } {
  const at = place()
  at.file('plugins.ts', PLUGINS)
  at.file('milterhost.config.ts', CONFIG.replace('./unused.sock', join(at.path, 'unused.sock')))
  return { path: at.path, message: at.file('message.eml', MESSAGE) }
}

describe('milterhost', () => {
  it.each(['run', 'check', 'list', 'try', 'policy'])('%s --help shows examples and exit codes', command => {
    const { code, out } = milterhost([command, '--help'])
    expect(code).toBe(0)
    expect(out).toMatch(/Usage: milterhost/)
    expect(out).toMatch(/Examples:\n {2}milterhost/)
    expect(out).toMatch(/Exit codes:\n {2}0 {2}/)
  })

  it('says its version', () => {
    const { version } = JSON.parse(readFileSync(join(BIN, '../../package.json'), 'utf8')) as { version: string }
    expect(milterhost(['--version'])).toMatchObject({ code: 0, out: `${version}\n` })
  })

  it('suggests the command and the option that were meant', () => {
    expect(milterhost(['chekc'])).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean check?') })
    expect(milterhost(['list', '--jsno'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('Did you mean --json?'),
    })
  })

  it('says in one line what it needs on an older Node', () => {
    // Reading the version is all that can be made old here; the file must stay readable for an old Node as well.
    const pretend = 'Object.defineProperty(process.versions, "node", { value: "20.20.2" })'
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, BIN, 'run'],
      { encoding: 'utf8' },
    )
    expect(status).toBe(2)
    expect(stderr).toMatch(/^milterhost needs Node 24 or newer; this is Node 20\.20\.2 \(.*\)\.\n$/)
  })
})

describe('check', () => {
  it('prints a table of filters and is content', () => {
    const { path } = configured()
    const { code, out } = milterhost(['check'], { cwd: path })
    expect(code).toBe(0)
    expect(out).toMatch(/refuse +plugin +rcpt .* ok$/m)
    expect(out).toMatch(/stamp +plugin +end .* ok$/m)
  })

  it('names a milter that cannot be reached, and exits with 1', () => {
    const at = place()
    at.file(
      'milterhost.config.ts',
      `import { defineConfig, socket } from 'milterhost'
export default defineConfig({ filters: [socket('gone', 'unix:${join(at.path, 'gone.sock')}')] })`,
    )
    const { code, out } = milterhost(['check'], { cwd: at.path })
    expect(code).toBe(1)
    expect(out).toMatch(/gone +socket .* FAILED$/m)
    expect(out).toMatch(/there is no such socket/)
    const json = milterhost(['check', '--json'], { cwd: at.path })
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, filters: [{ name: 'gone', ok: false }] })
  })

  it.each([
    ['a key that does not exist', 'export default { lissen: 1 }', /lissen is not an option; did you mean "listen"\?/],
    ['a syntax error', 'export default {', /milterhost\.config\.ts:1:\d+: /],
    ['a throw', 'throw new Error("no database")', /failed while it was executed: no database/],
    ['an import that is not there', 'import "nowhere-to-be-found"', /nowhere-to-be-found/],
    ['no default export', 'export const x = 1', /it has no default export: write export default/],
  ])('tells %s and exits with 2', (_what, text, error) => {
    const at = place()
    at.file('milterhost.config.ts', text)
    const { code, out, err } = milterhost(['check'], { cwd: at.path })
    expect(err).toMatch(error)
    expect(out).toBe('')
    expect(code).toBe(2)
  })

  it('says which file it looked for when the one named is not there', () => {
    const { code, err } = milterhost(['check', '--config', '/nonexistent/x.ts'])
    expect(code).toBe(2)
    expect(err).toMatch(/no configuration at \/nonexistent\/x\.ts; name an existing file with --config/)
  })
})

describe('list', () => {
  it('shows the filters in order without contacting any', () => {
    const { path } = configured()
    const { code, out } = milterhost(['list', '--json'], { cwd: path })
    expect(code).toBe(0)
    const { filters } = JSON.parse(out) as { filters: { name: string }[] }
    expect(filters.map(({ name }) => name)).toEqual(['refuse', 'stamp'])
  })
})

describe('what was switched by command', () => {
  const CONFIG = `import { socket } from 'milterhost'
export default { filters: [socket('one', 'inet:1@127.0.0.1'), socket('two', 'inet:2@127.0.0.1', { enabled: false })] }
`
  const switched = (text: string) => {
    const { path: cwd, file } = place()
    file('milterhost.config.ts', CONFIG)
    file('filters.json', text)
    return { cwd }
  }
  const FILTERS = '{"version":1,"filters":{"one":false,"two":true,"gone":false}}'

  it('is shown by list and heeded by explain', () => {
    const { out } = milterhost(['list'], switched(FILTERS))
    expect(out).toMatch(/one +socket +off \(by command\)/)
    expect(out).toMatch(/two +socket +enforce \(by command\)/)
    const listed = JSON.parse(milterhost(['list', '--json'], switched(FILTERS)).out)
    expect(listed.filters).toMatchObject([
      { name: 'one', enabled: false, overridden: true },
      { name: 'two', enabled: true, overridden: true },
    ])
    const explained = milterhost(['explain', '--to', 'a@example.org'], switched(FILTERS))
    expect(explained.out).toMatch(
      /^1\. one \(filters\[0\]\): off \(by command\)\n2\. two \(filters\[1\]\): on \(by command\)\n/,
    )
    expect(explained.out).toContain('<a@example.org>: takes part'.replace(/[<>]/g, ''))
  })

  it('is told when it cannot be read, and left as it is', () => {
    const options = switched('{"version":9}')
    const { out, err, code } = milterhost(['list'], options)
    expect(err).toMatch(/filters\.json.*format 9.*filters are shown as the configuration has them/)
    expect(out).toMatch(/one +socket +enforce +/)
    expect(code).toBe(0)
    expect(readFileSync(join(options.cwd, 'filters.json'), 'utf8')).toBe('{"version":9}')
  })
})

describe('try', () => {
  it('answers look-ups from a zone file: the shipped sample passes SPF, DKIM and DMARC', () => {
    const { path: state } = place()
    const sample = (name: string): string => join(BIN, '../../src/defaults', name)
    const args = ['try', sample('sample.eml'), '--dns', sample('sample.zone'), '--client', '192.0.2.1,mx.example.org']
    const { code, out } = milterhost(args, { cwd: state, env: { STATE_DIRECTORY: state } })
    expect(code).toBe(0)
    for (const result of ['spf=pass smtp.mailfrom=example.org', 'dkim=pass header.d=example.org', 'dmarc=pass'])
      expect(out).toContain(result)
    expect(milterhost(['try', sample('sample.eml'), '--dns', join(state, 'none.zone')], { cwd: state })).toMatchObject({
      code: 2,
      err: expect.stringContaining('the zone file'),
    })
  })

  it('shows each filter’s verdict and edits, the replies, and what became of the message', () => {
    const { path, message } = configured()
    const { code, out } = milterhost(['try', message, '--client', '192.0.2.7,mx.example.org'], { cwd: path })
    expect(code).toBe(0)
    expect(out).toMatch(/^CONNECT mx\.example\.org 192\.0\.2\.7$/m)
    expect(out).toMatch(/^RCPT TO:<bob@example\.net>$/m)
    expect(out).toMatch(/^\+X-Stamp: 192\.0\.2\.7$/m)
    expect(out).toMatch(/^Outcome: accept$/m)
  })

  it('tells the refusal as the client would see it, and exits with 1', () => {
    const { path, message } = configured()
    const { code, out } = milterhost(['try', message, '--to', 'nobody@example.net'], { cwd: path })
    expect(code).toBe(1)
    expect(out).toMatch(/< 550 5\.1\.1 No such user/)
  })

  it('knows recipients one by one, authentication, and standard input', () => {
    const { path } = configured()
    const args = ['try', '-', '--raw', '--auth', 'ann', '--to', 'nobody@example.net', '--to', 'bob@example.net']
    const { code, out, err } = milterhost(args, { cwd: path, input: MESSAGE })
    expect(code).toBe(0)
    expect(out.startsWith('X-Stamp: ann\r\n')).toBe(true)
    expect(out.endsWith('\r\n\r\ntext\r\n')).toBe(true)
    expect(err).toMatch(/550 5\.1\.1/)
  })

  it('writes the result to a file, and the whole story as JSON', () => {
    const { path, message } = configured()
    const result = join(path, 'result.eml')
    expect(milterhost(['try', message, '--output', result], { cwd: path }).code).toBe(0)
    expect(readFileSync(result, 'utf8')).toMatch(/^X-Stamp: 127\.0\.0\.1\r\n/)
    const json = milterhost(['try', message, '--json'], { cwd: path })
    expect(JSON.parse(json.out)).toMatchObject({ outcome: 'accept' })
  })

  it('names a message file that is not there', () => {
    const { path } = configured()
    const { code, err } = milterhost(['try', join(path, 'none.eml')], { cwd: path })
    expect(code).toBe(2)
    expect(err).toMatch(/none\.eml/)
  })
})
