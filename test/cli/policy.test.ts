import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { main } from '../../src/cli/main.ts'
import { milterhost, place } from './support.ts'

/** The command in this process: a process for each of so many calls takes a minute on a busy machine. */
const said = vi.hoisted(() => ({ out: '', err: '' }))
vi.mock('../../src/cli/console.ts', async original => ({
  ...(await original<typeof import('../../src/cli/console.ts')>()),
  print: (text: string) => {
    said.out += `${text}\n`
  },
  printJson: (value: unknown) => {
    said.out += `${JSON.stringify(value, null, 2)}\n`
  },
  complain: (text: string) => {
    said.err += `${text}\n`
  },
}))
beforeEach(() => Object.assign(said, { out: '', err: '' }))

interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function command(...args: string[]): Promise<Ended> {
  Object.assign(said, { out: '', err: '' })
  const code = await main(['policy', ...args])
  return { code, ...said }
}

const CONFIG = (policy: string): string => `
import { defineConfig } from 'milterhost'
import { file, lookup, sql } from 'milterhost/lookups'
import { definePlugin } from 'milterhost/plugin'
const make = (name: string) => definePlugin({ name, setup: () => ({ end() {} }) })()
export default defineConfig({ filters: [make('greylist'), make('spf')], policy: ${policy} })
`

function configured(policy: (at: string) => string): { path: string; run: (...args: string[]) => Promise<Ended> } {
  const at = place()
  at.file('milterhost.config.ts', CONFIG(policy(at.path)))
  at.file('policy.yaml', '# ours\nboss@example.org: { spf: off }\n')
  return {
    path: at.path,
    run: (name, ...args) => command(name!, ...args, ...(name === 'init' ? [] : ['--config', at.path])),
  }
}

describe('policy init', () => {
  it.each(['postgres', 'mysql', 'mariadb', 'sqlite'])('--sql %s prints a table', async product => {
    const { code, out } = await command('init', '--sql', product)
    expect(code).toBe(0)
    expect(out).toMatch(/^-- The central policy[\s\S]*CREATE TABLE IF NOT EXISTS milterhost_policy \(/)
  })

  it('what it prints for SQLite makes the table that sql(url) reads and policy set writes', async () => {
    const { path, run } = configured(at => `sql('sqlite:${at}/mail.db')`)
    const database = new DatabaseSync(join(path, 'mail.db'))
    database.exec((await run('init', '--sql', 'sqlite')).out)
    database.close()
    expect(await run('set', 'A@example.org', 'greylist=off', 'spf={"strict":true}')).toMatchObject({
      code: 0,
      out: 'a@example.org: greylist=off spf={"strict":true}\n',
    })
    expect((await run('list', '--json')).out).toBe(
      `${JSON.stringify({ 'a@example.org': { greylist: false, spf: { strict: true } } }, null, 2)}\n`,
    )
  })

  it('says what is wrong', async () => {
    expect(await command('init')).toMatchObject({ code: 2, err: expect.stringContaining('without --sql') })
    expect(await command('init', '--sql', 'oracle')).toMatchObject({
      code: 2,
      err: expect.stringContaining('oracle'),
    })
    expect(await command('init', '--sql', '--table', 'a;b')).toMatchObject({
      code: 2,
      err: expect.stringContaining('name of a table'),
    })
  })
})

describe('policy of a file', () => {
  it('is shown for a recipient under the key that counts', async () => {
    const { run } = configured(at => `file('${at}/policy.yaml')`)
    expect((await run('get', 'Boss+box@example.org')).out).toBe('Boss+box@example.org, as boss@example.org: spf=off\n')
    expect((await run('get', 'boss@example.org')).out).toBe('boss@example.org: spf=off\n')
    expect((await run('get', 'a@example.net')).out).toBe(
      'a@example.net: the policy says nothing, so every filter is on\n',
    )
    await run('set', 'example.net', 'greylist=off')
    expect((await run('get', 'a@mx.example.net')).out).toBe('a@mx.example.net, as example.net: greylist=off\n')
    expect((await run('get', 'mx.example.net')).out).toBe('mx.example.net, as example.net: greylist=off\n')
    await run('set', '*', 'spf=off')
    expect(JSON.parse((await run('get', 'x', '--json')).out)).toEqual({
      recipient: 'x',
      key: '*',
      filters: { spf: false },
    })
  })

  it('is changed filter by filter, and its comments stay', async () => {
    const { path, run } = configured(at => `file('${at}/policy.yaml')`)
    expect((await run('set', 'boss@example.org', 'greylist=off')).out).toBe('boss@example.org: spf=off greylist=off\n')
    expect((await run('set', 'boss@example.org', 'spf=default')).out).toBe('boss@example.org: greylist=off\n')
    expect(readFileSync(join(path, 'policy.yaml'), 'utf8')).toContain('# ours')
    expect((await run('list')).out).toMatch(/^recipient +filters\nboss@example.org +greylist=off\n$/)
    expect((await run('set', 'boss@example.org', '--remove')).code).toBe(0)
    expect((await run('list')).out).toContain('The policy is empty')
  })

  it('refuses what it cannot do, with exit code 2, and changes nothing', async () => {
    const { path, run } = configured(at => `file('${at}/policy.yaml')`)
    const before = readFileSync(join(path, 'policy.yaml'), 'utf8')
    for (const [args, message] of [
      [['greylits=off'], /no filter "greylits"; did you mean "greylist"/],
      [['greylist=of'], /greylist must be yes or no/],
      [['greylist'], /not filter=value/],
      [[], /needs either/],
      [['spf=on', '--remove'], /needs either/],
    ] as const) {
      const { code, err } = await run('set', 'boss@example.org', ...args)
      expect(code).toBe(2)
      expect(err).toMatch(message)
    }
    expect(readFileSync(join(path, 'policy.yaml'), 'utf8')).toBe(before)
  })
})

it.each([
  ['undefined', /has no policy/],
  ["{ '*': { spf: false } }", /stands in the configuration itself/],
  ["lookup('crm', () => null)", /function crm, which a command cannot write/],
])('a policy that is %s cannot be written', async (policy, message) => {
  const { run } = configured(() => policy)
  const { code, err } = await run('list')
  expect(code).toBe(2)
  expect(err).toMatch(message)
})

it('a source that cannot be reached is an error with exit code 1', async () => {
  const { run } = configured(at => `sql('sqlite:${at}/none.db')`)
  expect(await run('list')).toMatchObject({ code: 1, err: expect.stringContaining('look-up sql failed') })
})

it('works as a user starts it', () => {
  const at = place()
  at.file('milterhost.config.ts', CONFIG(`file('${at.path}/policy.yaml')`))
  at.file('policy.yaml', 'boss@example.org: { spf: off }\n')
  expect(milterhost(['policy', 'get', 'boss@example.org'], { cwd: at.path })).toEqual({
    code: 0,
    out: 'boss@example.org: spf=off\n',
    err: '',
  })
})
