/**
 * Every `milterhost …` of the documentation is a command that there is, with options that it takes; and what can run without an MTA, a
 * running daemon or the network runs, in the order of its page.
 *
 * `NOT_RUN` is all that does not, with the reason. A page that runs has what its commands speak of beside it (`around`).
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import * as dkim from '../../plugins/dkim/src/command.ts'
import * as greylist from '../../plugins/greylist/src/command.ts'
import { ConfigurationSource } from '../../src/cli/configuration.ts'
import { main } from '../../src/cli/main.ts'
import { BIN, start } from '../cli/support.ts'
import { BLOCKS, PAGES, pageText, ROOT } from './pages.ts'
import { commandsOf } from './shell.ts'

const NOT_RUN: readonly (readonly [RegExp, string])[] = [
  [
    /^milterhost (status|reload|enable|disable|restart|sessions|kill|drain)\b/,
    'asks a daemon: test/cli/control.test.ts',
  ],
  [/^(npx )?milterhost run\b/, 'serves until it is ended: test/cli/run.test.ts'],
  [/^milterhost liveness-agent\b/, 'serves until it is ended: test/interop/liveness'],
  [/^milterhost-launcher\b/, 'needs root: test/interop/launcher, test/interop/installed'],
  [/^milterhost doctor\b/, 'reads the MTA of this machine: test/interop/doctor runs it'],
  [/^milterhost dkim check\b/, 'asks the DNS: test/cli/dkim-command.test.ts'],
  [
    /^(npm|npx|\.ci\/run|cd milter-plugin-)/,
    'scripts of the project, or run by scripts/check-created.mjs and check-packages.mjs',
  ],
  [
    /^(cd|cp|cat|ln|mkdir|node|install|postconf|postfix|systemctl|systemd-\w+) /,
    'installs into the system: test/interop/installed does what docs/installing.md says, on a machine of its own',
  ],
  [/^swaks /, 'sends mail through an MTA'],
  [/^(jq|mariadb) /, 'a program of somebody else at the end of a pipe'],
]

const PLUGIN_COMMANDS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'milter-plugin-dkim/command': { ...dkim },
  'milter-plugin-greylist/command': { ...greylist },
}

const shell = BLOCKS.filter(({ language }) => language === 'sh')
/** What goes into a file by `<<END` is no command. */
const lines = (text: string): string[] =>
  text
    .replaceAll(/<<'?(\w+)'?\n[\s\S]*?^\1$/gm, '')
    .split('\n')
    .filter(line => /^[^\s#]/.test(line))

/** In running text, and in blocks that only list what there is. Capitals stand for what the reader has. */
const inText = PAGES.filter(page => page !== 'CHANGELOG.md').flatMap(page =>
  [...pageText(page).matchAll(/`(milterhost [^`\n]+)`|^ {4}(milterhost .*?)(?: {2,}.*)?$/gm)]
    .map(match => ({ page, line: (match[1] ?? match[2])!.replaceAll('\\|', '|') }))
    // A synopsis says in brackets what may be there.
    .map(({ page, line }) => ({ page, line: line.replace(/ or [A-Z]+\b/g, '').replaceAll(/[[\]]/g, '') }))
    .filter(({ line }) => !/^milterhost NAME\b/.test(line)),
)

describe('commands in the documentation', () => {
  afterEach(() => vi.restoreAllMocks())

  /** Reads the command line with the real commands, none of which does anything. @returns what is wrong with it */
  async function fault(words: readonly string[]): Promise<string | null> {
    let reached = false
    let said = ''
    const original = Command.prototype.parseAsync
    // The real one takes a loader that is not there in a test.
    vi.spyOn(ConfigurationSource.prototype, 'importFrom').mockImplementation(
      async (_folder, name) => PLUGIN_COMMANDS[name] ?? null,
    )
    vi.spyOn(Command.prototype, 'parseAsync').mockImplementation(function (this: Command, argv, options) {
      for (const command of [this, ...this.commands.flatMap(one => [one, ...one.commands])]) {
        command.configureOutput({
          writeErr: text => {
            said += text
          },
        })
        if (command.commands.length === 0) {
          command.action(() => {
            reached = true
          })
        }
      }
      return original.call(this, argv, options)
    })
    const code = await main(words)
    vi.restoreAllMocks()
    const asked = words.length === 1 && /^--(version|help)$/.test(words[0]!)
    return code === 0 && (reached || asked) ? null : `milterhost ${words.join(' ')}: ${said}`
  }

  it('are found', () => {
    expect(shell.length).toBeGreaterThan(15)
    expect(inText.length).toBeGreaterThan(50)
  })

  it('are told from others', async () => {
    expect(await fault(['check', '--config', 'x'])).toBeNull()
    expect(await fault(['chekc'])).toMatch(/chekc/)
    expect(await fault(['check', '--confg', 'x'])).toMatch(/confg/)
    expect(await fault(['policy', 'get'])).toMatch(/missing/)
    expect(await fault(['greylist', 'lst'])).toMatch(/lst/)
  })

  it.each(PAGES)('%s names only commands and options that there are', async page => {
    const faults: (string | null)[] = []
    for (const { line } of inText.filter(found => found.page === page)) {
      const found = await fault(commandsOf(line)[0]!.slice(1))
      // A sentence may name a command without what it needs, or a family of them.
      if (!/missing required argument|required option|^milterhost \w+: Usage:/.test(found ?? '')) faults.push(found)
    }
    const commands = shell.filter(block => block.page === page).flatMap(({ text }) => lines(text).flatMap(commandsOf))
    for (const [program, ...words] of commands.map(words => (words[0] === 'npx' ? words.slice(1) : words)))
      if (program === 'milterhost') faults.push(await fault(words))
    expect(faults.filter(one => one !== null)).toEqual([])
  })
})

const CONFIGURATION = `
import { defineConfig } from 'milterhost'
import { file } from 'milterhost/lookups'
import dkim from 'milter-plugin-dkim'
import greylist from 'milter-plugin-greylist'

export default defineConfig({
  dns: { servers: '127.0.0.1:1', timeout: '100ms', tries: 1, total: '200ms' },
  listen: 'unix:' + import.meta.dirname + '/mta',
  control: false,
  filters: [
    greylist(),
    dkim({
      sign: { keys: [{ domain: 'example.org', selector: 'k2026', file: import.meta.dirname + '/keys/k2026.pem' }] },
      reports: { store: import.meta.dirname + '/dmarc.db' },
    }),
  ],
  policy: file(import.meta.dirname + '/policy.yaml'),
})
`

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** What the commands of the pages speak of: a configuration, a message, what is to be imported. */
function around(): string {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-docs-'))
  folders.push(folder)
  for (const name of ['keys', 'dmarc']) mkdirSync(join(folder, name))
  const files = {
    'milterhost.config.ts': CONFIGURATION,
    'message.eml': 'From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n',
    'policy.yaml': 'example.net: greylist=off\n',
    'milter-manager.conf': 'manager.connection_spec = "inet:10025@127.0.0.1"\n',
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  spawnSync(process.execPath, [BIN, 'dkim', 'keygen', 'example.org', 'k2026', '--output', 'keys/k2026.pem'], {
    cwd: folder,
  })
  return folder
}

/** Where the reader has it, and where it is here. A page that writes a configuration or a key writes it beside the one that is there. */
const here = (word: string, folder: string): string =>
  word
    .replace('/etc/milterhost/milterhost.config.ts', join(folder, 'written.config.ts'))
    .replace('/etc/milterhost/keys/k2026.pem', join(folder, 'keys/written.pem'))
    .replace(/^\/etc\/milterhost$/, folder)
    .replace('/etc/milter-manager', folder)
    .replace('/var/spool/dmarc', join(folder, 'dmarc'))

describe('commands that run', () => {
  const reasonFor = (words: readonly string[]): string | undefined =>
    NOT_RUN.find(([pattern]) => pattern.test(`${words.join(' ')} `))?.[1]
  const runs = PAGES.map(page => ({
    page,
    commands: shell
      .filter(block => block.page === page)
      .flatMap(({ text }) => lines(text).flatMap(commandsOf))
      .filter(words => reasonFor(words) === undefined),
  })).filter(({ commands }) => commands.length > 0)

  it('are all of milterhost', () => {
    const others = runs.flatMap(({ commands }) => commands).filter(([program]) => program !== 'milterhost')
    expect(others, 'give the reason in NOT_RUN').toEqual([])
    expect(runs.flatMap(({ commands }) => commands).length).toBeGreaterThan(20)
  })

  it('are left out for a reason that is still needed', () => {
    const all = shell.flatMap(({ text }) => lines(text).flatMap(commandsOf)).map(words => `${words.join(' ')} `)
    const idle = NOT_RUN.filter(([pattern]) => !all.some(line => pattern.test(line)))
    expect(idle.map(([pattern]) => pattern.source)).toEqual([])
  })

  it.each(runs)('$page', { timeout: 300_000 }, async ({ commands }) => {
    const folder = around()
    // A greylist is made by the daemon.
    if (commands.some(words => words[1] === 'greylist')) await start(['run'], folder).until('ready')
    for (const [, ...words] of commands) {
      const { status, stderr, stdout } = spawnSync(process.execPath, [BIN, ...words.map(word => here(word, folder))], {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, STATE_DIRECTORY: folder, RUNTIME_DIRECTORY: folder, JOURNAL_STREAM: '' },
        timeout: 60_000,
      })
      expect({ command: words.join(' '), status, ...(status !== 0 && { stdout, stderr }) }).toEqual({
        command: words.join(' '),
        status: 0,
      })
    }
  })
})

it('scripts of the project that pages name are there', async () => {
  const { scripts } = (await import(join(ROOT, 'package.json'), { with: { type: 'json' } })).default as {
    readonly scripts: Readonly<Record<string, string>>
  }
  const named = ['README.md', 'CONTRIBUTING.md', 'bench/README.md'].flatMap(page =>
    [...pageText(page).matchAll(/\bnpm run ([\w:]+)/g)].map(match => match[1]!),
  )
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter(name => !(name in scripts))).toEqual([])
})
